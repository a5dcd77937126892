"""Reads what a predictor's package declares about preloading, without importing it.

::

    PRELOAD = ("predictors.llm.engine",)  # modules that the preloaded parent imports before it forks this predictor
    PRELOAD_WAIT = True                   # whether a start waits for these imports; false if absent

Waiting pays where imports are most of a start: a separate process would import the same modules on the same cores.
"""

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from switchyard.local.errors import LocalError


@dataclass(frozen=True, slots=True)
class Preload:
    """``modules`` to import before the fork; whether a start waits for them."""

    modules: tuple[str, ...]
    wait: bool = False


def declared(packages: Iterable[str], root: Path) -> dict[str, Preload]:
    """Return the declarations of ``packages`` below ``root``; packages without one are left out.

    Raises:
        LocalError: a declaration is not written as literals of the right types.
    """
    found = {}
    for package in packages:
        path = root.joinpath(*package.split("."), "__init__.py")
        if path.is_file() and (preload := _read(path)) is not None:
            found[package] = preload
    return found


def _read(path: Path) -> Preload | None:
    constants: dict[str, object] = {}
    try:
        for statement in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                name = statement.targets[0].id
                if name in ("PRELOAD", "PRELOAD_WAIT"):
                    constants[name] = ast.literal_eval(statement.value)
    except (SyntaxError, ValueError) as err:
        raise LocalError(f"{path} cannot be read: {err}; write PRELOAD as a tuple of module names") from err
    if "PRELOAD" not in constants:
        return None
    modules, wait = constants["PRELOAD"], constants.get("PRELOAD_WAIT", False)
    if not isinstance(modules, tuple) or not all(isinstance(name, str) for name in modules):
        raise LocalError(f"{path}: PRELOAD is {modules!r}; write a tuple of module names")
    if not isinstance(wait, bool):
        raise LocalError(f"{path}: PRELOAD_WAIT is {wait!r}; write True or False")
    return Preload(modules, wait)
