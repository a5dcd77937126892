"""The error that the person at the terminal sees instead of a traceback."""


class LocalError(Exception):
    """Local mode cannot do what was asked; the message says what was wrong, where, and what to do."""
