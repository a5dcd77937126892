"""Files that clients bring for batches and take from them, by OpenAI's ``/v1/files``."""
