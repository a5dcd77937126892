"""Requests to models: retries, and heartbeats while a model wakes."""
