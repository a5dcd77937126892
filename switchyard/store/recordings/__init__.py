"""Responses kept as they were sent, to be sent again or to be followed while they still run."""
