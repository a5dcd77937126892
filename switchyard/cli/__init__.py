"""The ``switchyard`` command."""

from switchyard.cli.app import app, main

__all__ = ["app", "main"]
