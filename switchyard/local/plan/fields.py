"""Rejects documents with fields that local mode neither honors nor ignores for a known reason."""

import re
from collections.abc import Iterator, Sequence
from functools import cache

from switchyard.local.errors import LocalError
from switchyard.local.plan.field_tables import TABLES, Field
from switchyard.local.plan.render import Document

_SEGMENT = re.compile(r'\["(?P<quoted>[^"]*)"\]|(?P<list>\[\])|\.?(?P<plain>[^.\[\]]+)')
_PLAIN = re.compile(r"[\w*-]+")

# A wildcard does not reach these, because such annotations change how a service is served.
_GUARDED = ("knative.dev", "kserve.io")


class UnknownFieldError(LocalError):
    """A rendered document has fields that local mode does not know."""


def require_known(documents: Sequence[Document]) -> None:
    """Check every field of ``documents``.

    Raises:
        UnknownFieldError: names each document and field that is in no table.
    """
    problems = [problem for document in documents for problem in unknown(document)]
    if problems:
        raise UnknownFieldError(
            "\n".join(problems)
            + "\nLocal mode would not run what a cluster runs. Remove these fields from the overlay, or give each "
            "a line in switchyard/local/plan/field_tables.py: what it does here, or why it may be ignored."
        )


def unknown(document: Document) -> list[str]:
    """Return a sentence for each field of ``document`` that is in no table."""
    kind = document["kind"]
    where = f"{kind} {document['metadata'].get('name')}"
    if kind not in TABLES:
        return [f"{where}: local mode does not know the kind {kind}"]
    found = dict.fromkeys(path for path in _leaves(document, ()) if _match(kind, path) is None)
    return [f"{where}: local mode does not know the field {write(path)}" for path in found]


def find(kind: str, path: str) -> Field | None:
    """Return the table entry for a field of ``kind``, None if there is none."""
    return _match(kind, read(path))


def read(path: str) -> tuple[str, ...]:
    """Split a written path into its segments."""
    return tuple(match["quoted"] or match["list"] or match["plain"] for match in _SEGMENT.finditer(path))


def write(path: Sequence[str]) -> str:
    """Join segments into a written path."""
    text = ""
    for segment in path:
        if segment == "[]":
            text += segment
        elif _PLAIN.fullmatch(segment):
            text += f".{segment}" if text else segment
        else:
            text += f'["{segment}"]'
    return text


def _leaves(value: object, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict) and value:  # an empty one is a leaf: `emptyDir: {}` asks for something
        for key, item in value.items():
            yield from _leaves(item, (*path, str(key)))
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item, (*path, "[]"))
    elif value is not None:
        yield path


@cache
def _patterns(kind: str) -> tuple[tuple[tuple[str, ...], Field], ...]:
    return tuple((read(field.path), field) for field in TABLES[kind])


def _match(kind: str, path: tuple[str, ...]) -> Field | None:
    return next((field for pattern, field in _patterns(kind) if _covers(pattern, path)), None)


def _covers(pattern: tuple[str, ...], path: tuple[str, ...]) -> bool:
    if pattern[-1] == "**":
        head = pattern[:-1]
        return len(path) >= len(head) and all(map(_equal, head, path))
    return len(pattern) == len(path) and all(map(_equal, pattern, path))


def _equal(pattern: str, segment: str) -> bool:
    if pattern == "*":
        return not segment.partition("/")[0].endswith(_GUARDED)
    if pattern.endswith("/*"):
        return segment.startswith(pattern[:-1])
    return pattern == segment


def reference() -> str:
    """Render the tables as the Markdown page ``docs/reference/local-mode-fields.md``."""
    lines = [
        "# Fields in local mode",
        "",
        "What `switchyard up` does with each field of a rendered document. A field that is not here is an error.",
        "`[]` is any item of a list, `*` any key, `**` all below. Written by `python -m switchyard.local.plan.fields`.",
    ]
    for kind, table in TABLES.items():
        if [field.path for field in table] == ["**"]:
            continue
        lines += ["", f"## {kind}", "", "| field | local mode | |", "|---|---|---|"]
        lines += [f"| `{f.path}` | {'honors' if f.honored else 'ignores'} | {_cell(f.note)} |" for f in table]
    lines += ["", "## Kinds without a process", "", "| kind | ignored because |", "|---|---|"]
    lines += [f"| {kind} | {_cell(table[0].note)} |" for kind, table in TABLES.items() if table[0].path == "**"]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("{{", "`{{").replace("}}", "}}`").replace("<", "\\<")


if __name__ == "__main__":
    import sys

    sys.stdout.write(reference())
