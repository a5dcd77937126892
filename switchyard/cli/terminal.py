"""Prints for people: text that comes from models, their folders or a server cannot command the terminal."""

from collections.abc import Iterable

import typer

from switchyard.repository.names import visible


def say(lines: Iterable[str], *, err: bool = False) -> None:
    """Print each of ``lines`` as one line."""
    typer.echo("\n".join(map(visible, lines)), err=err)
