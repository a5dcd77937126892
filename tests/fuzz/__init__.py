"""Parsers under fuzz: what they must hold for any bytes, the bytes to begin from, and two ways to vary them."""
