"""Hugging Face's layout: ``llm/<model>/`` with ``config.json``, a tokenizer and weights in safetensors."""
