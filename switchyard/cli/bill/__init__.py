"""What ``switchyard usage`` asks of a gateway, and what it makes of it."""
