"""What OpenAI's clients call: chat completions, models, embeddings, vector store search."""
