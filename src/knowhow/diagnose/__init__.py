"""Diagnose: why answers failed, found out by experiment; knowledge or behaviour, and which."""
