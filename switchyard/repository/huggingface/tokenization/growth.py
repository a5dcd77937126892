"""How much longer a normalizer or decoder makes a text, known before any long text is given to it."""

import base64
import struct
from collections.abc import Iterator
from typing import Any

from tokenizers import Regex, Tokenizer, normalizers

from switchyard.repository.huggingface.documents import shown
from switchyard.repository.huggingface.tokenization.parts import decoders, rewriters

GROWTH = 16  # bytes for one; Unicode's own normalization makes 11 of one, and a blank as "▁" is 3
_REPEATED = 4  # so that a pattern may match across what two matches before it wrote


def excessive_growth(tokenizer: Tokenizer) -> Iterator[str]:
    """Yield what makes a text more than ``GROWTH`` times as long, as a part of a sentence."""
    steps = list(rewriters(tokenizer.normalizer))
    for index, (written, _) in enumerate(steps):
        if written.get("type") == "Precompiled":
            if (longest := _longest_mapping(written)) > 4 * GROWTH:  # of a character, which has up to 4 bytes
                yield f"its normalizer makes {longest} bytes of one character"
        elif written.get("type") == "Replace":
            least, content = _shortest_match(written), written.get("content", "")
            size = _final_size(content, [runs for _, runs in steps[index + 1 :]], least)
            if size > GROWTH * least:
                yield f"its normalizer makes {size} bytes of {least} (where it replaces by {shown(content)!r})"
    replacing = [written for written in decoders(tokenizer) if written.get("type") == "Replace"]
    runs = [_replacement(written) for written in replacing]
    for index, written in enumerate(replacing):
        least, content = _shortest_match(written), written.get("content", "")
        size = _final_size(content, runs[index + 1 :], least)
        if size > GROWTH * least:
            yield f"its decoder makes {size} bytes of {least} (where it replaces by {shown(content)!r})"


def _replacement(written: dict[str, Any]) -> normalizers.Replace:
    """Return the normalizer that does what a decoder does."""
    pattern = written["pattern"]
    return normalizers.Replace(
        pattern["String"] if "String" in pattern else Regex(pattern["Regex"]), written["content"]
    )


def _shortest_match(written: dict[str, Any]) -> int:
    """Return the bytes that a replacement takes away at least: a regular expression may match a single one."""
    return max(1, _bytes(written["pattern"].get("String", "")))


def _final_size(content: str, following: list[Any], least: int) -> int:
    """Return the bytes that ``content`` has behind the normalizers that follow, or has as soon as they are too many."""
    size = _bytes(content)
    text = content * _REPEATED if size <= GROWTH * least else ""
    for normalizer in following:
        if size > GROWTH * least:
            break
        text = normalizer.normalize_str(text)
        size = -(-_bytes(text) // _REPEATED)
    return size


def _longest_mapping(written: dict[str, Any]) -> int:
    """Return the bytes of the longest text in sentencepiece's map of characters: a trie's size, the trie, the texts."""
    try:
        table = base64.b64decode(written.get("precompiled_charsmap") or "")
        (trie,) = struct.unpack_from("<I", table)
    except (ValueError, struct.error):
        return 0  # which maps nothing
    return max(map(len, table[4 + trie :].split(b"\0")))


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
