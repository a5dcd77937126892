"""The two small chat models of our own: their problems, their tokenizer, their training and their examination."""
