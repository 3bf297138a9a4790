"""The suite ``llm``: what large language models are made of, in the shapes of known open ones, in plain torch."""
