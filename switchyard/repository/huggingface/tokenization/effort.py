"""How much work a tokenizer has with a text: its regular expressions as they are written, and probes."""

import re
import time
from collections.abc import Iterator

from tokenizers import Tokenizer

from switchyard.repository.huggingface.documents import shown
from switchyard.repository.huggingface.tokenization.parts import patterns

PATTERNS, PATTERN_CHARACTERS = 64, 8192  # the largest have 10, and 2000 characters for all scripts of the world
WORD_CHARACTERS = 1000  # WordPiece tries all parts of a word; BERT's bound is 100
_SIZES = (32, 128, 256, 512, 1024, 4096)
_FIRST_SECONDS, _SECONDS_PER_CHARACTER = 0.05, 50e-6  # a few 10⁻⁶ is usual
_USUAL = ("a", " ", "1", "\n", ".", "é", "ab ")
_LETTERS = 16
_SIGNS = ":;,@#\"'<>/_=&%~-"

_CLASS = re.compile(r"\[\^?\]?")
_COUNT = re.compile(r"\{(\d*)(,?)(\d*)\}")
_FEW = 32  # repetitions that multiply with those within, but do not double for each character


def excessive_effort(tokenizer: Tokenizer) -> Iterator[str]:
    """Yield why encoding a text may take without end, as a part of a sentence."""
    found = list(dict.fromkeys(patterns(tokenizer)))
    if len(found) > PATTERNS:
        yield f"it has {len(found)} regular expressions, of {PATTERNS} that it may have"
        return
    for pattern in found:
        if len(pattern) > PATTERN_CHARACTERS:
            yield f"a regular expression of it has {len(pattern)} characters, of {PATTERN_CHARACTERS}"
            return
        if nests_repetitions(pattern):
            yield f"its regular expression {shown(pattern)} repeats what repeats within, which takes without end"
            return
    longest = getattr(tokenizer.model, "max_input_chars_per_word", 0)
    if longest > WORD_CHARACTERS:
        yield f"its max_input_chars_per_word is {longest}, of {WORD_CHARACTERS} that it may be"
        return
    letters = _letters(found)
    # Behind what repeats comes what ends a match, as Oniguruma looks for that first, but not directly.
    end = "!" + "".join(letters) + _SIGNS
    for probe in (*_USUAL, *letters):
        for size in _SIZES:
            took = _seconds(tokenizer, (probe * size)[:size] + end)
            if took > _FIRST_SECONDS + size * _SECONDS_PER_CHARACTER:
                yield f"encoding {size} characters of {shown(probe)!r} and what may end them takes {took:.1f} s"
                return


def nests_repetitions(pattern: str) -> bool:
    """Return whether a group that may repeat without end holds a repetition without end: ``(a+)+``.

    A backtracking engine, as Oniguruma is, may then try every way to share out a text among both. Groups that give
    nothing back, ``(?>…)`` and what has a possessive ``+`` behind it, do not.
    """
    groups: list[tuple[bool, bool]] = []  # of each open one: whether it is atomic, and whether a repetition was before
    repeats = inner = False  # whether the group so far holds a repetition, and what stands before the position
    at = 0
    while at < len(pattern):
        character = pattern[at]
        if character == "\\":
            at, inner = at + 2, False
        elif character == "[":
            at, inner = _end_of_class(pattern, at), False
        elif character == "(":
            groups.append((pattern.startswith("(?>", at), repeats))
            at, repeats, inner = at + 1, False, False
        elif character == ")":
            atomic, before = groups.pop() if groups else (False, False)
            inner = repeats and not atomic
            repeats, at = before or inner, at + 1
        elif length := _unbounded(pattern, at):
            possessive = pattern.startswith("+", at + length) and character != "{"
            if inner and not possessive:
                return True
            repeats, inner = repeats or not possessive, False
            at += length + (possessive or pattern.startswith("?", at + length))
        else:
            count = _COUNT.match(pattern, at)
            at = count.end() if count else at + 1
            inner = inner and (character == "?" or count is not None)
    return False


def _unbounded(pattern: str, at: int) -> int:
    """Return the length of the quantifier at ``at`` if it repeats without end, or so often that it is the same."""
    if pattern[at] in "*+":
        return 1
    count = _COUNT.match(pattern, at)
    if count is None or not (count[1] or count[3]):
        return 0
    most = count[3] if count[2] else count[1]
    return len(count[0]) if not most or int(most[:9]) > _FEW else 0


def _end_of_class(pattern: str, at: int) -> int:
    """Return the position behind a class of characters, which may hold others."""
    opened = _CLASS.match(pattern, at)
    assert opened
    depth, at = 1, opened.end()
    while at < len(pattern) and depth:
        character = pattern[at]
        depth += (character == "[") - (character == "]")
        at += 2 if character == "\\" else 1
    return at


def _letters(found: list[str]) -> list[str]:
    """Return letters and digits that the regular expressions are about."""
    every = dict.fromkeys(character for pattern in found for character in pattern if character.isalnum())
    return [character for character in every if character not in _USUAL][:_LETTERS]


def _seconds(tokenizer: Tokenizer, text: str) -> float:
    """Return the processor's time, which other processes do not lengthen."""
    began = time.thread_time()
    tokenizer.encode(text)
    return time.thread_time() - began
