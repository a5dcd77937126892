"""OpenAI's Responses in the background: made without a client, looked up, continued and cancelled at any gateway."""
