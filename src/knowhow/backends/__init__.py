"""Everything heavy or remote: chat models, embedders, rerankers and verifiers behind the ports."""
