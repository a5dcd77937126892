"""Follows the model repository: what is new is judged, published and told; ``python -m switchyard.sync``."""
