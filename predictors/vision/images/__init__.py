"""Requests that hold images: bodies read, models asked, answers written."""
