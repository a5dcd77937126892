"""Which fields of Triton's configuration a folder may use: each was decided about."""

from collections.abc import Iterator
from typing import Any

import pytest

from switchyard.repository.triton.checks.fields import REFUSED, TAKEN, field_faults
from switchyard.repository.triton.schema import ModelConfig, parse
from switchyard.repository.verdict import FaultCode


def leaves(message: Any, above: str = "") -> Iterator[str]:
    """Every field of a message that holds a value, by its path; one that was decided about as a whole is not opened."""
    for field in message.fields:
        path = above + field.name
        is_map = field.message_type and field.message_type.GetOptions().map_entry
        inner = None if is_map or path in TAKEN | REFUSED.keys() else field.message_type
        if inner and inner.fields:
            yield from leaves(inner, f"{path}.")
        else:
            yield path


def test_every_field_of_the_schema_is_taken_or_refused() -> None:
    assert set(leaves(ModelConfig.DESCRIPTOR)) == TAKEN | REFUSED.keys()
    assert TAKEN & REFUSED.keys() == set()


@pytest.mark.parametrize("path", sorted(REFUSED))
def test_a_field_that_is_refused_is_named_with_what_to_do(path: str) -> None:
    config = ModelConfig()
    fill(config, path.split("."))
    (fault,) = field_faults(config)
    assert fault.code is (FaultCode.PICKLE if path in ("runtime", "model_operations") else FaultCode.CONFIG)
    assert fault.message == f"config.pbtxt has '{path}', which {REFUSED[path]}."


def fill(message: Any, path: list[str]) -> None:
    """Set the field at ``path`` to something that is not its default."""
    name, *below = path
    field = message.DESCRIPTOR.fields_by_name[name]
    value = getattr(message, name)
    if field.message_type and field.message_type.GetOptions().map_entry:
        value["a"] = "b"
    elif field.message_type:
        inner = value.add() if field.is_repeated else value
        inner.SetInParent()
        if below:
            fill(inner, below)
    else:
        one: Any = "x" if field.type == field.TYPE_STRING else 1
        if field.is_repeated:
            value.append(one)
        else:
            setattr(message, name, one)


def test_a_number_may_be_as_large_as_its_bound() -> None:
    text = "dynamic_batching { max_queue_delay_microseconds: %d }"
    assert list(field_faults(parse(text % 10_000_000))) == []
    (fault,) = field_faults(parse(text % 10_000_001))
    assert "'dynamic_batching.max_queue_delay_microseconds' 10000001: write at most 10000000" in fault.message
