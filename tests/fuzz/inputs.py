"""The targets by name, the bytes that each begins from, and bytes that are cut and changed at random."""

import importlib
import pkgutil
import random
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz import targets
from tests.fuzz.mutation import strewn

CORPUS = Path(__file__).parent / "corpus"
LONGEST = 4096  # bytes of an input; what is odd about a longer one is its length, which the floods are for
_SHAPED = 0.5  # how often a change keeps the input's shape, where there is a way to
_MOST_CUTS = 4


Shaped = Callable[[random.Random, bytes], bytes | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A parser under fuzz.

    ``check`` raises when an invariant is broken; ``shaped`` changes an input so that it keeps its form, when it can.
    """

    name: str
    check: Callable[[bytes], None]
    tokens: Sequence[bytes]
    shaped: Shaped | None

    @property
    def corpus(self) -> Path:
        return CORPUS / self.name

    def seeds(self) -> list[bytes]:
        """The inputs that lie in the repository, every crash ever found among them."""
        return [path.read_bytes() for path in sorted(self.corpus.iterdir())]


def names() -> list[str]:
    """The names of all targets."""
    return sorted(module.name for module in pkgutil.iter_modules(targets.__path__))


def load(name: str) -> Target:
    """The target ``name``; its imports may be slow."""
    module = importlib.import_module(f"{targets.__name__}.{name}")
    return Target(name=name, check=module.target, tokens=module.TOKENS, shaped=getattr(module, "SHAPED", None))


def cut(data: bytes) -> list[bytes]:
    """``data`` in up to five chunks, cut where its checksum says: the same bytes are always cut alike."""
    places = random.Random(zlib.crc32(data))
    at = sorted(places.randint(0, len(data)) for _ in range(places.randint(1, _MOST_CUTS)))
    return [data[start:end] for start, end in zip([0, *at], [*at, len(data)], strict=True) if end > start]


def mutate(target: Target, dice: random.Random, data: bytes) -> bytes:
    """One change, in the way that suits the target."""
    if target.shaped is not None and dice.random() < _SHAPED:
        made = target.shaped(dice, data)
        if made is not None:
            return made[:LONGEST]
    return strewn(dice, data, target.tokens)[:LONGEST]


def mutated(target: Target, seed: int, count: int) -> Iterator[bytes]:
    """``count`` inputs made from the seeds of a target, some of them from several."""
    dice = random.Random(seed)
    seeds = target.seeds()
    for _ in range(count):
        data = b"".join(dice.choices(seeds, k=dice.choice((1, 1, 1, 1, 2, 3))))[:LONGEST]
        for _ in range(dice.choice((1, 1, 1, 2, 3))):
            data = mutate(target, dice, data)
        yield data
