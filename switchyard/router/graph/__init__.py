"""A graph's spec and the problems in it."""
