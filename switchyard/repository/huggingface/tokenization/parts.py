"""The parts of a tokenizer that rewrite or split texts, as the tokenizers library has read them."""

import json
from collections.abc import Iterator
from typing import Any

from tokenizers import Tokenizer


def state(part: Any) -> dict[str, Any]:
    """Return a normalizer, pre-tokenizer or decoder as ``tokenizer.json`` has it; empty where there is none."""
    return json.loads(part.__getstate__()) if part is not None else {}


def rewriters(normalizer: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    """Yield the normalizers that one is made of in their order, each as it is written and as it runs."""
    written = state(normalizer)
    if "normalizers" in written:
        for index in range(len(written["normalizers"])):
            yield from rewriters(normalizer[index])
    elif written:
        yield written, normalizer


def decoders(tokenizer: Tokenizer) -> Iterator[dict[str, Any]]:
    """Yield the decoders in their order, as they are written."""
    waiting = [state(tokenizer.decoder)]
    while waiting:
        written = waiting.pop(0)
        if "decoders" in written:
            waiting[:0] = written["decoders"]
        else:
            yield written


def patterns(tokenizer: Tokenizer) -> Iterator[str]:
    """Yield the regular expressions of all parts."""
    waiting: list[Any] = [state(part) for part in (tokenizer.normalizer, tokenizer.pre_tokenizer, tokenizer.decoder)]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if isinstance(regex := value.get("Regex"), str):
                yield regex
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
