"""How well ``ocr`` reads the pictures in tests/testdata/pictures: ``python -m predictors.vision.accuracy``.

For every picture and in all: the character accuracy, 1 - edits / characters of the expected text (edits by Levenshtein,
spaces and line ends count), and whether the text is the one that the package which the weights come from reads in the
same pixels. Starts a Triton, or calls the server at ``--url`` (V2 over HTTP). The package lives in .venv-triton, so
another interpreter hands over to the one there.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

_ROOT = Path(__file__).parents[2]
_PYTHON = _ROOT / ".venv-triton" / "bin" / "python"
_TRITON = _ROOT / "predictors" / "vision" / "triton" / "tritonserver"
_MODELS = _ROOT / "model-repository" / "vision"
_PICTURES = _ROOT / "tests" / "testdata" / "pictures"
_STEPS = ("image-decode", "ocr-detection", "ocr-direction", "ocr-recognition", "ocr")
_START_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What was read in one picture, what it says, and what the package reads."""

    name: str
    expected: str
    text: str
    package: str

    @property
    def accuracy(self) -> float:
        return max(0.0, 1 - edits(self.expected, self.text) / len(self.expected))


def edits(one: str, other: str) -> int:
    """Count the insertions, deletions and replacements that turn one text into the other (Levenshtein 1966)."""
    letters, count = np.array(list(other)), np.arange(len(other) + 1)
    row = count
    for letter in one:
        changed = np.minimum(row[1:] + 1, row[:-1] + (letters != letter))
        row = np.minimum.accumulate(np.concatenate([[row[0] + 1], changed]) - count) + count
    return int(row[-1])


def compare(pictures: Path, url: str) -> Iterator[Reading]:
    """Read every image that has an expected text, in order of name."""
    from rapidocr_onnxruntime import RapidOCR
    from tritonclient.http import InferenceServerClient

    client, engine = InferenceServerClient(url, network_timeout=120.0), RapidOCR()
    for name, lines in sorted(json.loads((pictures / "expected.json").read_text(encoding="utf-8")).items()):
        data = np.array([(pictures / name).read_bytes()], dtype=np.object_)
        text = _ask(client, "ocr", data, "text")
        pixels = _ask(client, "image-decode", data, "pixels")
        rows, _ = engine(np.ascontiguousarray(pixels[:, :, ::-1]))  # the package wants blue, green, red
        yield Reading(
            name=name,
            expected="\n".join(lines),
            text="\n".join(line.decode() for line in text),
            package="\n".join(row[1] for row in rows or ()),
        )


def _ask(client: Any, model: str, image: Any, output: str) -> Any:
    from tritonclient.http import InferInput

    tensor = InferInput("image", [1], "BYTES")
    tensor.set_data_from_numpy(image)
    return client.infer(model, [tensor]).as_numpy(output)


@contextmanager
def own_triton() -> Iterator[str]:
    """Run a Triton with the models of ``ocr`` for the block; yield its address.

    Raises:
        SystemExit: it did not start; its log says why.
    """
    ports = _free_ports(3)
    flags = [f"--{kind}-port={port}" for kind, port in zip(("http", "grpc", "metrics"), ports, strict=True)]
    addresses = [f"--{kind}-address=127.0.0.1" for kind in ("http", "grpc", "metrics")]
    loads = [f"--load-model={step}" for step in _STEPS]
    quiet = ["--model-control-mode=explicit", "--log-info=false", "--log-warning=false"]
    command = [str(_TRITON), f"--model-repository={_MODELS}", *quiet, *flags, *addresses, *loads]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603
    try:
        url = f"127.0.0.1:{ports[0]}"
        _wait_ready(server, url)
        yield url
    finally:
        server.terminate()
        server.wait()


def _free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def _wait_ready(server: "subprocess.Popen[bytes]", url: str) -> None:
    from tritonclient.http import InferenceServerClient

    end = time.monotonic() + _START_SECONDS
    client = InferenceServerClient(url)
    while server.poll() is None and time.monotonic() < end:
        try:
            if client.is_server_ready():
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise SystemExit("Triton did not start; what it logged above says why")


def report(readings: Sequence[Reading]) -> list[str]:
    """Format one line per image and one for all."""
    width = max(len(reading.name) for reading in readings)
    lines = [
        f"{reading.name:{width}}  {reading.accuracy:7.2%}  {len(reading.expected):5} characters  "
        + ("same text as the package" if reading.text == reading.package else "NOT the package's text")
        for reading in readings
    ]
    characters = sum(len(reading.expected) for reading in readings)
    accuracy = sum(reading.accuracy * len(reading.expected) for reading in readings) / characters
    same = sum(reading.text == reading.package for reading in readings)
    return [*lines, f"{'all':{width}}  {accuracy:7.2%}  {characters:5} characters  same text in {same}/{len(readings)}"]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the report; return 1 when a text differs from the package's."""
    parser = argparse.ArgumentParser(prog="python -m predictors.vision.accuracy", description=__doc__.split("\n")[0])
    parser.add_argument("--url", metavar="HOST:PORT", help="a server that has the models (default: starts Triton)")
    parser.add_argument("--pictures", type=Path, default=_PICTURES, help="a folder with pictures and expected.json")
    options = parser.parse_args(argv)
    if find_spec("rapidocr_onnxruntime") is None:
        os.chdir(_ROOT)
        arguments = sys.argv[1:] if argv is None else argv
        os.execv(_PYTHON, [str(_PYTHON), "-m", "predictors.vision.accuracy", *arguments])  # noqa: S606
    if options.url:
        readings = list(compare(options.pictures, options.url))
    else:
        with own_triton() as url:
            readings = list(compare(options.pictures, url))
    print("\n".join(report(readings)))
    return int(any(reading.text != reading.package for reading in readings))


if __name__ == "__main__":
    sys.exit(main())
