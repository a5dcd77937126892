"""Where calls arrive: each edge creates a ``Call`` and sends its response in the caller's protocol."""
