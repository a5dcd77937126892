"""The Go library gjson in a process of its own, asked line by line."""

import base64
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from benchmarks import go

_SOURCE = go.REPOSITORY / "tests" / "testdata" / "gjson_oracle"


@dataclass(frozen=True, slots=True)
class Answer:
    """What gjson found, and whether Go's two validators take the body for JSON."""

    go_valid: bool
    valid: bool
    exists: bool
    type: str
    raw: bytes
    string: bytes


class Oracle:
    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen((program,), stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> "Oracle":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def ask(self, path: bytes, body: bytes) -> Answer:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        question = {"path": base64.b64encode(path).decode(), "json": base64.b64encode(body).decode()}
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        self._process.stdin.flush()
        told = json.loads(self._process.stdout.readline())
        return Answer(
            go_valid=told["go_valid"],
            valid=told["valid"],
            exists=told["exists"],
            type=told["type"].lower(),
            raw=base64.b64decode(told["raw"] or ""),
            string=base64.b64decode(told["string"] or ""),
        )


def start() -> Oracle:
    """Builds the program if need be, and starts it."""
    return Oracle(go.program(_SOURCE))
