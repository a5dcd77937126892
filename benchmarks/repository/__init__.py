"""The model repository: how soon a folder is served, and what kills do to it."""
