"""The chat template: what it makes of messages, and which calls of tools it shows."""
