"""Knowhow: answers from your documents with checked citations, and the experiments that say how to improve them."""
