"""Asking a model: retries, heartbeats while it wakes, server-sent events."""
