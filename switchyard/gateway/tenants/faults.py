"""Sentences for what ``document`` finds wrong, for people who know YAML and not pydantic."""

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from switchyard.gateway.tenants.document import Issuer, Key, Limit, ModelPrice, Team, Tenant, TenantsFile
from switchyard.gateway.tenants.keys import is_key
from switchyard.gateway.tenants.shown import place

_MODELS: Mapping[str, type[BaseModel]] = {
    "tenants": Tenant,
    "teams": Team,
    "keys": Key,
    "limits": Limit,
    "prices": ModelPrice,
    "jwt": Issuer,
}
_TIME = "use a time with its zone, as 2030-01-31T00:00:00Z"
_FIELDS = "there are fields with values here, as `name: acme`"
_SENTENCES: Mapping[str, str] = {
    "missing": "this field is missing",
    "string_type": "this is no text; what YAML may take for a number or a date, such as digits alone, goes into quotes",
    "string_too_short": "this is empty",
    "bool_type": "use true or false",
    "bool_parsing": "use true or false",
    "int_type": "use a whole number",
    "int_parsing": "use a whole number",
    "int_from_float": "use a whole number",
    "float_type": "use a number",
    "float_parsing": "use a number",
    "decimal_type": "use a number",
    "decimal_parsing": "use a number",
    "finite_number": "use a number",
    "tuple_type": "use a list, as [one, other]",
    "model_type": _FIELDS,
    "dict_type": _FIELDS,
    "timezone_aware": _TIME,
    "datetime_type": _TIME,
    "datetime_parsing": _TIME,
    "datetime_from_date_parsing": _TIME,
    "datetime_object_invalid": _TIME,
}
_BOUNDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than": lambda bound: f"use a number above {bound['gt']}",
    "greater_than_equal": lambda bound: f"use a number from {bound['ge']} on",
    "less_than": lambda bound: f"use a number below {bound['lt']}",
    "less_than_equal": lambda bound: f"use a number up to {bound['le']}",
    "decimal_max_places": lambda bound: f"use at most {bound['decimal_places']} decimal places",
    "too_short": lambda bound: f"name at least {bound['min_length']}",
    "too_long": lambda bound: f"name at most {bound['max_length']}",
    "string_too_long": lambda bound: f"use at most {bound['max_length']} characters",
    "literal_error": lambda bound: f"use {bound['expected']}",
}


def sentence(fault: Mapping[str, Any], said: Any) -> str:
    """Return the place and a sentence for a fault of the parsed file."""
    path = fault["loc"]
    return f"{place(path, said)}: {_message(fault, said)}" if path else _message(fault, said)


def causes(faults: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield the faults without those that follow from others: a list is too short when its items are wrong."""
    lists = {fault["loc"][:-1] for fault in faults}
    yield from (fault for fault in faults if fault["type"] != "too_short" or fault["loc"] not in lists)


def _message(fault: Mapping[str, Any], said: Any) -> str:
    kind, path = fault["type"], fault["loc"]
    if not path and said is None:
        return "the file is empty; one without tenants says `tenants: []`"
    if kind == "extra_forbidden":
        return f"no such field{_near(path)}; docs/reference/tenants.md lists them"
    if path and path[-1] == "sha256" and kind == "string_pattern_mismatch":
        return _no_hash(path, said)
    if kind == "string_pattern_mismatch":
        return "use lower case letters, digits and hyphens, at most 63, with a letter or digit at both ends"
    if kind in _BOUNDS:
        return _BOUNDS[kind](fault["ctx"])
    return _SENTENCES.get(kind) or str(fault["msg"]).removeprefix("Value error, ")


def _near(path: Sequence[str | int]) -> str:
    *outer, name = path
    model = next((_MODELS[part] for part in reversed(outer) if isinstance(part, str) and part in _MODELS), TenantsFile)
    found = difflib.get_close_matches(str(name), model.model_fields, n=1)
    return f"; did you mean {found[0]}?" if found else ""


def _no_hash(path: Sequence[str | int], said: Any) -> str:
    value = said
    for part in path:
        value = value[part]
    if is_key(value.strip().encode()):
        return "this is a key, not its SHA-256; make another, as this one has been in a file"
    return "use the 64 digits, of 0-9 and a-f, that `switchyard key create` prints"
