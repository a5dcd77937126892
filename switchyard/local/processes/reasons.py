"""Why a process ended, from its log: the sentence that says why, which is seldom the last line."""

import json
import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from switchyard.settings import SettingsError

_LENGTH = 300
_TRACEBACK = "Traceback (most recent call last):"
_GLOG = re.compile(r'^\[?([IWEF])\d{4} [\d:.]+ .*?\] ?"?(.*?)"?$')  # Triton's and torch's lines: level, time, place
# What stands beside errors: progress bars, warnings with their place, and the words between chained exceptions.
_NOISE = re.compile(
    r"it/s\]|\.py:\d+: \w*Warning: |^Process \w+:$|^During handling of the above|^The above exception was|^usage: "
)
# Errors that point at another one, which was said before.
_POINTER = re.compile(r"See root cause above|EngineCore failed to start")
# What pydantic adds to the sentence of a validator, the module of an exception, and argparse's name of the program.
_TRIMMINGS = re.compile(
    r"\d+ validation errors? for \w+ (?:Value error, )?| \[type=\w+, input_value=.*?, input_type=\w+\]"
    r"|For further information visit \S+|^(?:\w+\.)+(?=\w+: )|^[\w. -]+: error: "
)
# Exceptions about a value, which is the same at the next attempt, unless they speak of what may be over by then.
_LASTING = re.compile(
    r"\b(?:Value|Type|Key|Attribute|NotImplemented|Import|ModuleNotFound|FileNotFound|NotADirectory|JSONDecode|Validation"
    r"|Safetensor|Settings)Error: "
)
_PASSING = re.compile(r"memory|address already in use|no space left|too many open files|timed out|temporar", re.I)

# What to do about what vLLM 0.32, transformers and tokenizers say most often of a start that failed.
_FIXES = tuple(
    (re.compile(said), fix)
    for said, fix in (
        (
            r"weights were not initialized from checkpoint|There is no module or parameter named",
            "its weights are not those of the architecture in config.json; put config.json and *.safetensors of one "
            "model into its folder",
        ),
        (
            r"No available memory for the cache blocks|Free memory on device|CUDA out of memory|can't allocate memory",
            "there is not enough memory for its weights; unload other models, or give it smaller or quantized",
        ),
        (
            r"larger than the available KV cache memory",
            "the memory beside its weights is too small for its context; unload other models, or give it a smaller "
            "--max-model-len",
        ),
        (
            r"Unknown quantization method|is not supported for (?:the current GPU|quantization method)",
            "its quantization cannot be run here; give it unquantized, or in another one",
        ),
        (
            r"Couldn't instantiate the backend tokenizer|Can't load tokenizer for|variant of untagged enum \w+Wrapper",
            "its tokenizer cannot be read; put tokenizer.json and tokenizer_config.json of the same model into its "
            "folder",
        ),
    )
)

_Kind = Literal["error", "plain", "info"]


class _Message(NamedTuple):
    kind: _Kind
    text: str


def reason(log: str, code: int | None = None) -> str:
    """Return the sentence of a process's ``log`` that says why it ended with exit code ``code``; empty if none does.

    It is the last exception that does not point at another one; without exceptions, or where a configuration was
    rejected, the last thing said in plain words; without those, the last thing said. Where it is known what to do
    about it, that comes first.
    """
    said = _said(log, code)
    fix = next((fix for pattern, fix in _FIXES if pattern.search(said)), "")
    return f"{fix}: {said}" if fix else said


def _said(log: str, code: int | None) -> str:
    said = [message for message in _messages(log) if message.text]
    kinds: list[_Kind] = ["plain", "error"] if code == SettingsError.exit_code else ["error", "plain"]
    for kind in (*kinds, "info"):
        for message in reversed(said):
            if message.kind == kind and not _POINTER.search(message.text):
                return message.text
    return said[-1].text if said else ""


def is_lasting(code: int, sentence: str) -> bool:
    """Whether another attempt would fail the same way: a configuration or a value was rejected.

    Signals, memory, ports and files that are busy, and whatever is unknown may be over at the next attempt.
    """
    rejected = code > 0 and _LASTING.search(sentence) and not _PASSING.search(sentence)
    return code == SettingsError.exit_code or bool(rejected)


def _messages(log: str) -> Iterator[_Message]:
    """Yield what was said: log records, exceptions without their frames, other lines with those indented below."""
    lines = re.split(r"[\n\r]+", log)
    number = 0
    while number < len(lines):
        line = lines[number]
        if line.startswith("{") and (record := _record(line)):
            yield record
        elif match := _GLOG.match(line):
            yield _Message("error" if match[1] in "EF" else "info", _trimmed(match[2]))
        elif line.startswith(_TRACEBACK):
            number = _block_end(lines, number)
            end = _block_end(lines, number)
            yield _Message("error", _trimmed(" ".join(lines[number:end])))
            number = end
            continue
        elif line.strip() and not line.startswith(" ") and not _NOISE.search(line):
            end = _block_end(lines, number)
            yield _Message("plain", _trimmed(" ".join(lines[number:end])))
            number = end
            continue
        number += 1


def _block_end(lines: list[str], number: int) -> int:
    """Return the number of the line after the message that begins at line ``number``: what is indented belongs to it.

    Pydantic's messages name a field, on a line of its own, before each sentence.
    """
    fields = "validation error" in "".join(lines[number : number + 1])
    number += 1
    while number < len(lines) and (
        lines[number].startswith(" ") or (fields and re.fullmatch(r"[\w.\[\]]+", lines[number]))
    ):
        number += 1
    return number


def _record(line: str) -> _Message | None:
    """Return a JSON record of our loggers, None if it is none."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    if not isinstance(row, dict):
        return None
    text = str(row.get("message") or line)
    if raised := [*_messages(str(row.get("traceback") or ""))]:
        exception = raised[-1].text
        return _Message("error", exception if _POINTER.search(text) else _trimmed(f"{text} ({exception})"))
    return _Message("error" if row.get("level") in ("error", "critical") else "info", _trimmed(text))


def _trimmed(text: str) -> str:
    """Return a message on one line, without what only its developers need, bounded."""
    flat = " ".join(_TRIMMINGS.sub("", " ".join(text.split())).split())
    return flat if len(flat) <= _LENGTH else flat[: _LENGTH - 1] + "…"
