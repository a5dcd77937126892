"""Where calls come in: each edge fills a ``Call`` and sends its response in the caller's protocol."""
