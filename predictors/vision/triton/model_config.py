"""Triton's model configuration, read as JSON once after each load.

https://github.com/triton-inference-server/common/blob/main/protobuf/model_config.proto
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

STEPS = "steps"  # the parameter with the models that a model calls, separated by blanks
_READING = frozenset(("text", "boxes", "scores"))
_SCORES = frozenset(("FP16", "FP32", "FP64"))


@dataclass(frozen=True, kw_only=True)
class Port:
    """One input or output; ``shape`` has -1 where a request decides, the batch included."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    format: str = ""
    labeled: bool = False

    def __str__(self) -> str:
        return f"{self.name!r} {self.datatype} {list(self.shape)}"


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """``inputs`` are the required ones, ``optional`` the others. ``dependencies`` are models that must be
    loaded with this one.

    ``takes_bytes`` says whether any input is of datatype BYTES, an optional one included, and ``batched`` whether the
    first dimension of every tensor is the batch.
    """

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    parameters: Mapping[str, str]
    dependencies: tuple[str, ...]
    takes_bytes: bool
    batched: bool
    optional: tuple[Port, ...] = ()

    @property
    def reads_text(self) -> bool:
        """Whether it converts the bytes of an image to lines of text."""
        return [port.datatype for port in self.inputs] == ["BYTES"] and {port.name for port in self.outputs} >= _READING

    @property
    def is_pinned(self) -> bool:
        """Whether it stays loaded, idle or not."""
        return self.parameters.get("pinned", "").lower() == "true"

    @property
    def scores(self) -> Port | None:
        """The output with one score per class if it is unambiguous: a labeled one, or the only floats."""
        labeled = [port for port in self.outputs if port.labeled]
        floats = labeled or [port for port in self.outputs if port.datatype in _SCORES and port.shape[-1:] != (1,)]
        return floats[0] if len(floats) == 1 else None


def parse_config(config: Mapping[str, Any]) -> ModelConfig:
    """Parse Triton's response to ``GET /v2/models/<name>/config``."""
    batched = config.get("max_batch_size", 0) > 0
    parameters = {name: value.get("string_value", "") for name, value in config.get("parameters", {}).items()}
    ensemble = config.get("ensemble_scheduling", {}).get("step", [])
    dependencies = dict.fromkeys([*parameters.get(STEPS, "").split(), *(step["model_name"] for step in ensemble)])
    return ModelConfig(
        name=config["name"],
        inputs=_ports([port for port in config.get("input", []) if not port.get("optional")], batched),
        outputs=_ports(config.get("output", []), batched),
        parameters=parameters,
        dependencies=tuple(dependencies),
        batched=batched,
        optional=_ports([port for port in config.get("input", []) if port.get("optional")], batched),
        takes_bytes=any(port["data_type"] == "TYPE_STRING" for port in config.get("input", [])),
    )


def _ports(given: Sequence[Mapping[str, Any]], batched: bool) -> tuple[Port, ...]:
    return tuple(
        Port(
            name=port["name"],
            datatype=_datatype(port["data_type"]),
            shape=(*((-1,) if batched else ()), *(int(size) for size in port.get("dims", []))),
            format=port.get("format", "FORMAT_NONE").removeprefix("FORMAT_"),
            labeled=bool(port.get("label_filename")),
        )
        for port in given
    )


def _datatype(name: str) -> str:
    """Return V2's name of a type in the configuration: BYTES for TYPE_STRING, all others without their prefix."""
    return "BYTES" if name == "TYPE_STRING" else name.removeprefix("TYPE_")
