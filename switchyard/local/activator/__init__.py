"""Requests to models that sleep, wake or are full: queued, then sent on."""
