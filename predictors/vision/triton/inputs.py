"""What is said of an inference that Triton rejects for its inputs: what the model takes, and what came.

Triton names one of them, and of an unknown name not what the model knows; its advice on max_batch_size is for whoever
wrote the configuration.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import orjson

from predictors.vision.triton.model_config import ModelConfig, Port

_MOST = 8  # that are listed of each side
_LONGEST = 80  # characters of a name that a client sent
_PARSED_BYTES = 1 << 20  # of JSON: a request with more has its shapes in what Triton says
_ADVICE = " NOTE: "


@dataclass(frozen=True, slots=True)
class Given:
    """One input of a request."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name[:_LONGEST]!r} {self.datatype[:_LONGEST]} {list(self.shape)}"


def explained(reason: str, config: ModelConfig, given: Sequence[Given]) -> str:
    """Return Triton's ``reason`` for its rejection, and both sides where a request's inputs are not the model's."""
    if not given or _fits(config, given):
        return reason
    taken = [*map(str, config.inputs), *(f"{port} (optional)" for port in config.optional)]
    said = reason.partition(_ADVICE)[0].rstrip(" .")
    return f"{said}; model {config.name!r} takes {_listed(taken)}, and the request has {_listed(map(str, given))}"


def explaining(config: ModelConfig, data: bytes) -> Callable[[str], str]:
    """Return ``explained`` for a request over REST with the JSON ``data``, which is parsed if it is rejected."""
    return lambda reason: explained(reason, config, of_json(data))


def of_json(data: bytes) -> list[Given]:
    """Return the inputs that the JSON of a V2 request describes; none if it is too long, or they are no tensors."""
    if len(data) > _PARSED_BYTES:
        return []
    try:
        tensors = orjson.loads(data)["inputs"]
        return [Given(str(row["name"]), str(row["datatype"]), tuple(map(int, row["shape"]))) for row in tensors]
    except (ValueError, KeyError, TypeError):
        return []


def _fits(config: ModelConfig, given: Sequence[Given]) -> bool:
    known = {port.name: port for port in (*config.inputs, *config.optional)}
    names = {tensor.name for tensor in given}
    if len(names) < len(given) or not {port.name for port in config.inputs} <= names <= known.keys():
        return False
    return all(_takes(known[tensor.name], tensor) for tensor in given)


def _takes(port: Port, tensor: Given) -> bool:
    sizes = zip(port.shape, tensor.shape, strict=False)
    same = len(port.shape) == len(tensor.shape) and all(size in (-1, sent) for size, sent in sizes)
    return same and port.datatype == tensor.datatype


def _listed(tensors: Iterable[str]) -> str:
    def shown() -> Iterator[str]:
        every = iter(tensors)
        yield from islice(every, _MOST)
        if more := sum(1 for _ in every):
            yield f"{more} more"

    return ", ".join(shown()) or "no inputs"
