"""The ``switchyard`` command; every import that costs time happens in the command that needs it."""

from switchyard.cli.app import app, main

__all__ = ["app", "main"]
