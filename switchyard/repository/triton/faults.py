"""How the checks of this package say what is wrong."""

import difflib
import json
from collections.abc import Iterable, Sequence

from switchyard.repository.names import quoted
from switchyard.repository.verdict import Fault


class FaultError(Exception):
    """What is wrong ends the inspection of a folder, or of one version; ``fault`` says it."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def names_of(names: Iterable[str], most: int = 8) -> str:
    """Return names as they stand in a sentence: quoted, with commas, the first few of them."""
    given = list(names)
    shown = [quoted(name) for name in given[:most]]
    if len(given) > most:
        shown.append(f"{len(given) - most} more")
    return ", ".join(shown) if shown else "none"


def as_string(name: str) -> str:
    """Return a name as config.pbtxt has it, in double quotes."""
    text = name[:80]
    return f'"{text}"' if text.isprintable() and '"' not in text and "\\" not in text else json.dumps(text)


def nearest(name: str, known: Sequence[str], most: int = 1000, likeness: float = 0.6) -> str:
    """Return the known name that looks most like ``name``, empty if none does; a ``likeness`` of 1 is the same name."""
    few = [each for each in known[:most] if len(each) <= 200]
    found = difflib.get_close_matches(name[:200], few, n=1, cutoff=likeness)
    return found[0] if found else ""
