"""Files to documents to passages: readers, the sandbox they run in, splitting and sync."""
