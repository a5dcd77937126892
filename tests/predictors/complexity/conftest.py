"""A real predictor: as an application in this process, and as the process that a pod runs."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from tests.ports import free_port

ROOT = Path(__file__).parents[3]
MODELS = ROOT / "model-repository" / "complexity"
DEADLINE = 30.0


class Predictor:
    """``python -m predictors.complexity`` on a port of its own."""

    def __init__(self, folder: Path, *flags: str, env: Mapping[str, str] | None = None) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / f"{self.port}.log"
        command = [sys.executable, "-m", "predictors.complexity", "--model_name=complexity", f"--http_port={self.port}"]
        command += [f"--model_dir={MODELS}", "--fast=chat-fast", "--reasoning=chat-reasoning", "--domain=demo", *flags]
        own = {"HOST": "127.0.0.1", "STORE_URL": f"sqlite://{folder}/store.db", "PYTHONWARNINGS": "error"}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stderr=log, env={**os.environ, **own, **(env or {})}, cwd=ROOT)

    def wait_ready(self) -> "Predictor":
        end = time.monotonic() + DEADLINE
        while True:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            try:
                if httpx.get(f"{self.url}/v2/models/complexity/ready").status_code == 200:
                    return self
            except httpx.TransportError:
                time.sleep(0.02)

    def ask(self, body: object, path: str = "/", **headers: str) -> httpx.Response:
        return httpx.post(self.url + path, json=body, headers=headers, timeout=DEADLINE)

    def stop(self) -> int:
        """Asks it to finish and returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=DEADLINE)
        finally:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Predictor]:
    started = Predictor(tmp_path_factory.mktemp("complexity"))
    try:
        yield started.wait_ready()
    finally:
        started.stop()
