"""Names: what a model may be called, and how a name from a folder is put into a sentence."""

import re
import unicodedata
from collections.abc import Mapping

from switchyard.repository.verdict import Fault, FaultCode

# "<name>-predictor" is a label of a DNS name, which has at most 63 characters (RFC 1035).
LONGEST_NAME = 53
_KEBAB = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")  # KServe wants a letter first


def quoted(name: str, most: int = 80) -> str:
    """Return a name from a folder as it stands in a sentence: quoted, cut, and escaped where it has odd characters."""
    text = name if len(name) <= most else f"{name[: most - 1]}…"
    return f"'{text}'" if text.isprintable() else repr(text)


def name_fault(name: str, names: Mapping[str, str]) -> Fault | None:
    """Say what is wrong with a model's name; ``names`` maps every other name in use to whose it is."""
    if len(name) > LONGEST_NAME:
        return Fault(
            code=FaultCode.NAME,
            message=f"The name {quoted(name)} has {len(name)} characters: rename the folder to one of at most "
            f"{LONGEST_NAME}, since it is a part of host names.",
        )
    if not _KEBAB.fullmatch(name):
        return Fault(
            code=FaultCode.NAME,
            message=f"The name {quoted(name)} is not lower-case letters, digits and single hyphens, beginning "
            f"with a letter: rename the folder to {_kebab_case(name)!r}, for example.",
        )
    if name in names:
        return Fault(
            code=FaultCode.NAME,
            message=f"The name '{name}' is taken by {names[name]}, and requests name a model by it alone: rename "
            "one of them.",
        )
    return None


def _kebab_case(name: str) -> str:
    words = re.findall(r"[a-z0-9]+", unicodedata.normalize("NFKD", name).lower())
    kebab = "-".join(words)[:LONGEST_NAME].strip("-")
    return kebab if _KEBAB.fullmatch(kebab) else f"model-{kebab}".strip("-")[:LONGEST_NAME]
