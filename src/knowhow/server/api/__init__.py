"""The verbs under /api, one module a noun; each holds a `router`."""
