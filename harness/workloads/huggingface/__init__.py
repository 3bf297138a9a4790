"""The suite ``huggingface``: architectures of ``transformers`` by their configurations, with random weights; nothing is downloaded."""
