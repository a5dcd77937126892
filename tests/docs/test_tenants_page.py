"""docs/reference/tenants.md, its schema and the model of the file say the same."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from switchyard.gateway.tenants.document import Cache, Issuer, Key, Limit, ModelPrice, Team, Tenant, TenantsFile
from switchyard.gateway.tenants.reader import InvalidTenantsError, read
from tests.docs.pages import DOCS, Page
from tests.switchyard.gateway.tenants.access import document
from tests.switchyard.gateway.tenants.test_reader import WRONG

PAGE = Page(DOCS / "reference/tenants.md")
SCHEMA = DOCS / "reference/tenants.schema.json"
SECTIONS: Mapping[str, type[BaseModel]] = {
    "The file": TenantsFile,
    "A tenant": Tenant,
    "A team": Team,
    "A key": Key,
    "A cache": Cache,
    "A price": ModelPrice,
    "An issuer": Issuer,
    "A limit": Limit,
}
EXAMPLE = PAGE.blocks[0]


class EditorsLoader(yaml.SafeLoader):
    """Reads a time as text, as editors do."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def rows(heading: str) -> list[list[str]]:
    section = PAGE.text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def default(value: Any) -> str:
    if value is PydanticUndefined:
        return "–"
    if value is None or value in ((), {}):
        return "none"
    if isinstance(value, float):
        return f"{value:g}"
    words = value if isinstance(value, tuple) else (value,) if isinstance(value, str) else ()
    return ", ".join(f"`{word}`" for word in words) or str(value).lower()


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_field_is_on_the_page_as_it_is(heading: str) -> None:
    fields = SECTIONS[heading].model_fields
    expected = [[f"`{name}`", default(field.default), field.description] for name, field in fields.items()]
    assert rows(heading) == expected


def test_the_schema_is_current() -> None:
    made = json.dumps(TenantsFile.model_json_schema(), indent=1) + "\n"
    assert SCHEMA.read_text() == made, "switchyard key schema > docs/reference/tenants.schema.json"


def test_the_example_and_the_files_of_tests_are_as_the_schema_and_the_reader_say(tmp_path: Path) -> None:
    validator = Draft202012Validator(json.loads(SCHEMA.read_text()))
    for text in (EXAMPLE, yaml.safe_dump(document())):
        assert list(validator.iter_errors(yaml.load(text, Loader=EditorsLoader))) == []
        path = tmp_path / "tenants.yaml"
        path.write_text(text)
        assert read(path).tenants


@pytest.mark.parametrize("name", ["an unknown field", "a field of a key", "no list", "a name", "a plain key", "a role"])
def test_the_schema_objects_to_what_the_reader_objects_to(name: str, tmp_path: Path) -> None:
    path = tmp_path / "tenants.yaml"
    path.write_text(WRONG[name][0])
    with pytest.raises(InvalidTenantsError):
        read(path)
    assert list(Draft202012Validator(json.loads(SCHEMA.read_text())).iter_errors(yaml.safe_load(WRONG[name][0])))
