"""Nodes: which steps run, in which order, and what becomes of their responses."""
