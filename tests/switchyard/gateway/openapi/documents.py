"""The gateway's document, and a check of values against its schemas."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from switchyard.gateway.openapi.document import document

DOCUMENT = document("1.2.3")
_URI = "urn:document"


@cache
def _registry() -> Registry[Any]:
    resource = DRAFT202012.create_resource(DOCUMENT)
    made: Registry[Any] = Registry().with_resource(_URI, resource)
    return made


def problems(schema: dict[str, Any], value: Any) -> list[str]:
    """What of ``value`` is not as a schema of the document says."""
    absolute = json.loads(json.dumps(schema).replace('"#/', f'"{_URI}#/'))
    errors = Draft202012Validator(absolute, registry=_registry()).iter_errors(value)
    return [f"{error.json_path}: {error.message[:300]}" for error in errors]


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and operation of every route."""
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def events(text: str) -> list[Any]:
    """The data of the events of a stream, without comments and ``[DONE]``."""
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]
