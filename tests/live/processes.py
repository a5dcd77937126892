"""Real predictors as processes: started from one preloaded parent, watched, and stopped by the pid that was started."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from switchyard.gateway.tenants.keys import create_key
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "model-repository" / "llm"
DEADLINE = 180.0
# Clients send it to every server, which write it nowhere: the end of a run looks for it in all that they wrote.
KEY = create_key()

ENGINE_FLAGS = ("--dtype=float32", "--enforce-eager", "--max-model-len=1024", "--kv-cache-memory-bytes=134217728")


def eventually(condition: Callable[[], Any], what: str, seconds: float = DEADLINE) -> Any:
    """Waits until ``condition`` gives something true and returns that."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.02)
    return value


def alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def descendants(pid: int) -> list[int]:
    """All living processes below ``pid``."""
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True) if alive(child.pid)]
    except psutil.NoSuchProcess:
        return []


def processes_of(triton: int, model: str) -> set[int]:
    """The processes of a model below Triton, one for each of its instances, and those that have not ended yet."""
    return {pid for pid in descendants(triton) if f"/{model}/" in _command_line(pid)}


def _command_line(pid: int) -> str:
    try:
        return " ".join(psutil.Process(pid).cmdline())
    except psutil.NoSuchProcess:  # it has ended since it was listed
        return ""


def fetch(url: str, body: Any = None, *, raw: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    """Status and body of one request; a body is sent as JSON. It has ``KEY``, which no response may show."""
    data = raw if raw is not None else None if body is None else json.dumps(body).encode()
    sent = {"content-type": "application/json", "authorization": f"Bearer {KEY}", **headers}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, sent), timeout=DEADLINE) as answer:
            status, said = answer.status, answer.read()
    except urllib.error.HTTPError as err:
        with err:
            status, said = err.code, err.read()
    assert KEY.encode() not in said, f"{url} shows the key that it was sent"
    return status, said


class Preload:
    """The preloaded parent of this test run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._socket = folder / "s"
        command = [sys.executable, "-m", "predictors.serving.preload", "--socket", str(self._socket)]
        command += ["--import", "predictors.llm.engine"]
        with (folder / "preload.log").open("wb") as log:
            self.process = subprocess.Popen(command, stderr=log, stdout=log, env=engine_environment())
        eventually(self._socket.exists, f"the preloaded parent; see {folder / 'preload.log'}")

    def fork(self, argv: list[str], env: dict[str, str], log: Path) -> tuple[int, socket.socket]:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(self._socket))
        order = {"module": "predictors.llm", "argv": argv, "env": env, "log": str(log), "cwd": str(ROOT)}
        connection.sendall(json.dumps(order).encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            answer += connection.recv(4096)
        return int(json.loads(answer)["pid"]), connection

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


class Predictor:
    """One ``python -m predictors.llm``, ready to answer."""

    def __init__(self, preload: Preload, model: str, *flags: str, **env: str) -> None:
        self.name = model
        self.http, self.grpc = free_port(), free_port()
        self.log = preload.folder / f"{model}-{self.http}.log"
        argv = [f"--model_name={model}", f"--model_dir={MODELS / model}", f"--http_port={self.http}"]
        argv += [f"--grpc_port={self.grpc}", *ENGINE_FLAGS, *flags]
        self.pid, self._connection = preload.fork(argv, {**engine_environment(), **env}, self.log)
        self.url = f"http://127.0.0.1:{self.http}"

    def wait_ready(self) -> "Predictor":
        eventually(self._ready_or_dead, f"{self.name} ready; its log:\n{self.tail()}")
        assert alive(self.pid), self.tail()
        return self

    def processor_seconds(self) -> float:
        """Returns the processor time of the process and of all that it started and that has ended or runs."""
        process = psutil.Process(self.pid)
        running = [one.cpu_times() for one in (process, *process.children(recursive=True))]
        ended = process.cpu_times()
        return float(sum(one.user + one.system for one in running) + ended.children_user + ended.children_system)

    def exit(self) -> int:
        """Waits for the end of the process and returns its exit code."""
        self._connection.settimeout(DEADLINE)
        with self._connection.makefile() as lines:
            code = int(json.loads(lines.readline())["exit"])
        self._connection.close()
        return code

    def stop(self) -> None:
        if alive(self.pid):
            os.kill(self.pid, signal.SIGKILL)
        self._connection.close()

    def metric(self, name: str, *labels: str) -> float:
        """The sum of a metric's samples that carry all ``labels``, each written ``key="value"``."""
        lines = fetch(f"{self.url}/metrics")[1].decode().splitlines()
        rows = [line for line in lines if line.partition("{")[0] == name and all(label in line for label in labels)]
        return sum(float(row.rpartition(" ")[2]) for row in rows)

    def tail(self) -> str:
        return self.log.read_text()[-6000:] if self.log.exists() else "(no log)"

    def _ready_or_dead(self) -> bool:
        if not alive(self.pid):
            return True
        try:
            return fetch(f"{self.url}/v2/models/{self.name}/ready")[0] == 200
        except OSError:
            return False


@contextmanager
def chat_model(preload: Preload) -> Iterator[Predictor]:
    started = Predictor(preload, "chat-fast", "--enable-auto-tool-choice", "--tool-call-parser=hermes")
    yield started.wait_ready()
    started.stop()


@contextmanager
def embedding_model(preload: Preload) -> Iterator[Predictor]:
    started = Predictor(preload, "embed", "--runner=pooling", "--max-model-len=256")
    yield started.wait_ready()
    started.stop()


def engine_environment() -> dict[str, str]:
    return dict(os.environ, HOST="127.0.0.1", HF_HUB_OFFLINE="1", VLLM_NO_USAGE_STATS="1", VLLM_HOST_IP="127.0.0.1")
