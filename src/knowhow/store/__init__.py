"""The only place that knows SQL: documents with versions, passages, keyword index, vectors and records."""
