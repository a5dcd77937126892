"""Requests with images: reads bodies, calls models, writes results."""
