"""Runs from end to end, as a newcomer makes them."""
