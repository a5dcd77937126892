"""Tokens (JWT, RFC 7519) beside keys: verified by the keys that their issuers publish, and turned into an identity."""
