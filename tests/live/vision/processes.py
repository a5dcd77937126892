"""Triton and the vision predictor as processes, and small models for them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path

import yaml

from switchyard.local.plan.arguments import bind, expand_references, replace_paths
from tests.live.processes import ROOT, descendants, eventually, fetch
from tests.ports import free_port

TRITON = ROOT / ".venv" / "bin" / "tritonserver"
RUNTIME = ROOT / "manifests" / "runtimes" / "triton.yaml"

_PYTHON = """\
import time

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        {initialize}

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        given = pb_utils.get_input_tensor_by_name(request, "{input}").as_numpy()
        {answer}
        return pb_utils.InferenceResponse([pb_utils.Tensor("{output}", values)])
"""

_STREAM = """\
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            for word in pb_utils.get_input_tensor_by_name(request, "text_input").as_numpy()[0].split():
                values = np.array([word], dtype=np.object_)
                sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("text_output", values)]))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""

_ECHO = """\
backend: "python"
input { name: "x" data_type: TYPE_FP32 dims: [-1] }
output { name: "y" data_type: TYPE_FP32 dims: [-1] }
"""


def write_model(folder: Path, config: str, code: str, **files: str) -> None:
    """A model in Python; the whole folder appears at once, as a copy into a repository should."""
    made = folder.parent / f".{folder.name}"
    (made / "1").mkdir(parents=True)
    (made / "config.pbtxt").write_text(config)
    (made / "1" / "model.py").write_text(code)
    for name, text in files.items():
        (made / name.replace("_", ".")).write_text(text)
    made.rename(folder)


def write_echo(folder: Path, *, initialize: str = "pass", answer: str = "values = given", config: str = "") -> None:
    code = _PYTHON.format(initialize=initialize, input="x", answer=answer, output="y")
    write_model(folder, _ECHO + config, code)


def publish(repository: Path, name: str, content: Path) -> None:
    """Switches the link of a model to a folder, as whoever publishes judged models does: at once, with newer times."""
    for version in content.iterdir():
        if version.is_dir():
            os.utime(version)
    staged = repository.parent / f".{name}"
    staged.symlink_to(content)
    os.replace(staged, repository / name)


def write_models(repository: Path) -> None:
    """``echo`` and others of its kind, ``stream`` that answers word by word, and two that label pictures.

    ``colors`` wants them in one size, ``any-size`` takes each as it is.
    """
    write_echo(repository / "echo")
    write_echo(repository / "slow", answer="time.sleep(float(given[0])); values = given")
    write_echo(repository / "broken", initialize='raise pb_utils.TritonModelException("the weights are missing")')
    write_echo(repository / "step")
    write_echo(repository / "whole", config='parameters { key: "steps" value { string_value: "step" } }\n')
    text = "name: {!r} data_type: TYPE_STRING dims: [1]"
    config = (
        f'backend: "python"\ninput {{ {text} }}\noutput {{ {text} }}\nmodel_transaction_policy {{ decoupled: true }}\n'
    )
    config = config.replace("{!r}", '"text_input"', 1).replace("{!r}", '"text_output"')
    write_model(repository / "stream", config, _STREAM)
    write_colors(repository / "colors", "8, 6")
    write_colors(repository / "any-size", "-1, -1", labels="\ufeffred\r\ngreen\r\nblue\r\n")  # as Windows writes them
    for folder in (ROOT / "model-repository" / "vision").iterdir():
        if folder.is_dir():
            (repository / folder.name).symlink_to(folder)


def write_colors(folder: Path, size: str, labels: str = "red\ngreen\nblue\n") -> None:
    """A classifier by the mean of each channel."""
    config = (
        'backend: "python"\nmax_batch_size: 4\n'
        f'input {{ name: "pixels" data_type: TYPE_FP32 dims: [3, {size}] format: FORMAT_NCHW }}\n'
        'output { name: "shares" data_type: TYPE_FP32 dims: [3] label_filename: "labels.txt" }\n'
    )
    answer = "values = given.mean(axis=(2, 3)).astype(np.float32)"
    code = _PYTHON.format(initialize="pass", input="pixels", answer=answer, output="shares")
    write_model(folder, config, code, labels_txt=labels)


class Triton:
    """One ``tritonserver`` with the arguments of the pod but those ``without``, on its own ports.

    ``env`` is over the pod's variables.
    """

    def __init__(self, repository: Path, folder: Path, *, without: Collection[str] = (), **env: str) -> None:
        self.repository = repository
        self._without = without
        self.http, self.grpc, self.metrics = free_port(), free_port(), free_port()
        self.log = folder / f"triton-{self.http}.log"
        self.own_log = folder / f"tritonserver-{self.http}.log"
        self._env = env
        self.process = self._start()

    def start_again(self) -> None:
        self.process = self._start()

    def kill(self) -> None:
        """As the kernel would for want of memory; its helpers end by themselves."""
        helpers = descendants(self.process.pid)
        self.process.kill()
        self.process.wait()
        for helper in helpers:
            _end(helper)

    def stop(self) -> None:
        self.process.terminate()
        try:
            # Models are unloaded in five seconds; one that failed to load over a good one is counted as live for ever,
            # and its 30 seconds would be waited for.
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.kill()

    def _start(self) -> "subprocess.Popen[bytes]":
        container = yaml.safe_load(RUNTIME.read_text())["spec"]["containers"][0]
        env = {**{row["name"]: row["value"] for row in container["env"]}, **self._env}
        given = [argument for argument in container["args"] if argument not in self._without]
        bound = bind([expand_references(argument, env) for argument in given], self._ports())
        mounts = {"/mnt/models": str(self.repository), "/tmp/tritonserver.log": str(self.own_log)}
        arguments = [replace_paths(argument, mounts) for argument in bound]
        with self.log.open("ab") as log:
            return subprocess.Popen([str(TRITON), *arguments], stdout=log, stderr=log, env={**os.environ, **env})

    def _ports(self) -> dict[int, int]:
        return {9000: self.http, 9001: self.grpc, 9002: self.metrics}


class Vision:
    """One ``python -m predictors.vision`` in front of a Triton."""

    def __init__(self, triton: Triton, folder: Path, **env: str) -> None:
        self.http, self.grpc = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.http}"
        self.log = folder / f"vision-{self.http}.log"
        command = [sys.executable, "-m", "predictors.vision", "--model_name=vision", f"--http_port={self.http}"]
        command += [f"--grpc_port={self.grpc}", f"--triton_http=127.0.0.1:{triton.http}"]
        command += [f"--triton_grpc=127.0.0.1:{triton.grpc}", f"--triton_metrics=127.0.0.1:{triton.metrics}"]
        command += [f"--model_repository={triton.repository}", f"--triton_log={triton.own_log}"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=ROOT, env=dict(os.environ, HOST="127.0.0.1", **env)
            )

    def wait_ready(self) -> "Vision":
        eventually(lambda: self.process.poll() is not None or self.ready(), "the vision predictor ready")
        assert self.process.poll() is None, self.log.read_text()[-4000:]
        return self

    def ready(self) -> bool:
        return self.status("/v2/health/ready") == 200

    def status(self, path: str) -> int:
        """0 while nobody listens."""
        try:
            return fetch(self.url + path)[0]
        except OSError:
            return 0

    def metric(self, name: str, *labels: str) -> float:
        lines = fetch(f"{self.url}/metrics")[1].decode().splitlines()
        rows = [line for line in lines if line.partition("{")[0] == name and all(label in line for label in labels)]
        return sum(float(row.rpartition(" ")[2]) for row in rows)

    def logged(self, words: str) -> int:
        return self.log.read_text().count(words)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def _end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        time.sleep(0)
