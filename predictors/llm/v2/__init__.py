"""V2 for language models: one prompt in, one text or its chunks out, over REST and gRPC."""
