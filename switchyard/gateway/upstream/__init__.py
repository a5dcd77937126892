"""Requests to models: retries, heartbeats while a model wakes, server-sent events."""
