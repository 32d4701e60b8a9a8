"""Tune: from lessons to an adapter that is promoted because it was measured, or refused with the reason."""
