"""Puts a gateway together from its parts."""
