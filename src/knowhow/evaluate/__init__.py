"""Evaluate and compare: checks of single answers, and what may be concluded from many of them."""
