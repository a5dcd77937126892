"""What ends a command of ``switchyard model`` with a sentence."""


class ModelError(Exception):
    """The command cannot be done; the message is for the person who typed it."""
