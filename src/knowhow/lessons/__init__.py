"""Lessons: what a model may learn from, where it came from, and what is wrong with it before it costs a training."""
