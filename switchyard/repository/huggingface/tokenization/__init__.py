"""What a tokenizer makes of a text before it looks up tokens: how much longer, and with how much work."""
