"""The HTTP door of a workspace: an OpenAI-compatible API, the verbs under /api, keys, sessions and jobs."""
