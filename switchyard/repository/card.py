"""The model's card: the front matter and first paragraph of ``README.md``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from switchyard.files import read_file
from switchyard.repository.names import without_controls

CARD = "README.md"
_CARD_BYTES = 1024 * 1024  # the longest cards have some 100 KB
_FRONT_BYTES = 64 * 1024
_DESCRIPTION_CHARACTERS = 500
_LICENSE_CHARACTERS = 100


class _WithoutAliases(yaml.SafeLoader):
    """Aliases of aliases make gigabytes of a few lines, and no card needs one."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an alias")
        return super().compose_node(parent, index)


@dataclass(frozen=True, slots=True)
class Card:
    license: str = ""
    description: str = ""
    note: str = ""


def read_card(folder: Path) -> Card:
    """Read what the card says; a card that cannot be read costs nobody a model, and is a note."""
    try:
        text = read_file(folder / CARD, _CARD_BYTES).decode()
    except FileNotFoundError:
        return Card()
    except OSError as err:
        return Card(note=f"{CARD} is not shown: {err.strerror}.")
    except UnicodeDecodeError:
        return Card(note=f"{CARD} is not shown: it is no text in UTF-8.")
    front, body = _split(text)
    values, note = _front_matter(front)
    return Card(license=_license(values), description=_first_paragraph(body), note=note)


def _split(text: str) -> tuple[str, str]:
    lines = text.splitlines()
    if not lines or lines[0].strip() != "---":
        return "", text
    end = next((index for index, line in enumerate(lines[1:], 1) if line.strip() == "---"), 0)
    return "\n".join(lines[1:end]), "\n".join(lines[end + 1 :])


def _front_matter(text: str) -> tuple[dict[str, Any], str]:
    if len(text) > _FRONT_BYTES:
        return {}, f"The front matter of {CARD} is not read: it has more than {_FRONT_BYTES} characters."
    try:
        values = yaml.load(text, _WithoutAliases)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, RecursionError, ValueError):
        return {}, f"The front matter of {CARD} is no YAML, so that the license is not shown: correct it."
    return (values if isinstance(values, dict) else {}), ""


def _license(values: dict[str, Any]) -> str:
    # "other" is explained by a name (Hugging Face's model card metadata).
    value = values.get("license_name") if values.get("license") == "other" else None
    value = value or values.get("license")
    names = value if isinstance(value, list) else [value]
    text = ", ".join(name for name in names if isinstance(name, str))
    return without_controls(text)[:_LICENSE_CHARACTERS]


def _first_paragraph(body: str) -> str:
    for paragraph in body.split("\n\n"):
        text = without_controls(" ".join(paragraph.split()))
        if text and text[0] not in "#<!|[-*>`=":
            return text[:_DESCRIPTION_CHARACTERS]
    return ""
