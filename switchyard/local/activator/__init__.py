"""Queues requests to models that sleep, wake or are full, then forwards them."""
