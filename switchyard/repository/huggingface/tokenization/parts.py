"""The parts of a tokenizer that rewrite or split texts, as the tokenizers library has read them."""

import json
from collections.abc import Iterator
from typing import Any

from tokenizers import Tokenizer


def state(part: Any) -> dict[str, Any]:
    """Return a normalizer, pre-tokenizer or decoder as ``tokenizer.json`` has it; empty where there is none."""
    return json.loads(part.__getstate__()) if part is not None else {}


def normalizers(tokenizer: Tokenizer) -> list[tuple[dict[str, Any], Any]]:
    """Return the normalizers in their order, each as it is written and as it runs."""
    whole = state(tokenizer.normalizer)
    if "normalizers" not in whole:
        return [(whole, tokenizer.normalizer)] if whole else []
    return [(one, tokenizer.normalizer[index]) for index, one in enumerate(whole["normalizers"])]


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
