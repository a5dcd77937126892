"""Names: what a model may be called, and how a name from a folder is put into a sentence."""

import re
import unicodedata
from collections.abc import Mapping

from switchyard.repository.verdict import Fault, FaultCode, Group

# "<name>-predictor" is a label of a DNS name, which has at most 63 characters (RFC 1035).
LONGEST_NAME = 53
LONGEST_TENSOR = 256  # characters of a tensor's name; exporters that write the module's path have some 100
_KEBAB = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")  # KServe wants a letter first


# C0 and C1, which command a terminal; what ends lines; what turns the direction of writing (Unicode TR 36); and halves
# of characters, which are no UTF-8.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def without_controls(text: str) -> str:
    """Return text from a folder without the characters that command a terminal or turn the direction of writing."""
    return _CONTROLS.sub("", text)


def visible(text: str) -> str:
    """Return text as a terminal is given it: in one line, with such characters as escapes, so that they can be seen."""
    return _CONTROLS.sub(lambda found: _escaped(found[0]), text)


def _escaped(character: str) -> str:
    return " " if character.isspace() else character.encode("unicode_escape").decode()


def has_controls(text: str) -> bool:
    """Return whether ``without_controls`` would change the text."""
    return _CONTROLS.search(text) is not None


def tensor_name_fault(name: str) -> str:
    """Return what is wrong with a tensor's name, empty if it can be shown and sent."""
    if len(name) > LONGEST_TENSOR:
        return f"has {len(name)} characters, of {LONGEST_TENSOR} that a name may have"
    return "has characters that cannot be printed" if has_controls(name) else ""


def quoted(name: str, most: int = 80) -> str:
    """Return a name from a folder as it stands in a sentence: quoted, cut, and escaped where it has odd characters."""
    text = name if len(name) <= most else f"{name[: most - 1]}…"
    return f"'{text}'" if text.isprintable() else repr(text)


def name_fault(name: str, names: Mapping[str, str], remedy: str = "rename the folder to") -> Fault | None:
    """Say what is wrong with a model's name; ``names`` maps every other name in use to whose it is.

    In the sentence a name comes after ``remedy``.
    """
    if len(name) > LONGEST_NAME:
        return Fault(
            code=FaultCode.NAME,
            message=f"The name {quoted(name)} has {len(name)} characters: {remedy} one of at most "
            f"{LONGEST_NAME}, since it is a part of host names.",
        )
    if name.isdecimal():
        return Fault(
            code=FaultCode.NAME,
            message=f"The name {quoted(name)} is one of versions, which lie in the folder of their model: move it into "
            f"a folder with the model's name, such as 'my-model/{name}'.",
        )
    if not _KEBAB.fullmatch(name):
        return Fault(
            code=FaultCode.NAME,
            message=f"The name {quoted(name)} is not lower-case letters, digits and single hyphens, beginning "
            f"with a letter: {remedy} {kebab_case(name)!r}, for example.",
        )
    if name in names:
        return Fault(code=FaultCode.NAME, message=taken(name, names[name]))
    return None


def taken(name: str, owner: str) -> str:
    """Say that ``owner``, such as "InferenceService complexity" or "llm/chat-fast", has a name already."""
    return f"The name '{name}' is taken by {owner}, and requests name a model by it alone: rename one of them."


def reserved_in(group: Group, reserved: Mapping[str, str]) -> Mapping[str, str]:
    """Return the names that no model of ``group`` may have, and whose they are.

    A name in ``reserved`` counts in all groups, ``<group>/<name>`` in that one.
    """
    parts = ((key.rpartition("/"), owner) for key, owner in reserved.items())
    return {name: owner for (inside, _, name), owner in parts if inside in ("", group)}


def kebab_case(name: str) -> str:
    """Return a name that a model may have and that looks like ``name``."""
    words = re.findall(r"[a-z0-9]+", unicodedata.normalize("NFKD", name).lower())
    kebab = "-".join(words)[:LONGEST_NAME].strip("-")
    return kebab if _KEBAB.fullmatch(kebab) else f"model-{kebab}".strip("-")[:LONGEST_NAME]
