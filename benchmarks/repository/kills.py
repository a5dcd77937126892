"""``python -m benchmarks.repository.kills``: what publishes and serves models is killed in the middle of its work.

Before each kill a new content of a network is copied over the old one, and of a language model, and after a time by
chance one of these processes gets SIGKILL: the program that publishes, Triton, the language model's predictor, or the
supervisor, which is started again by hand. All the time the network is asked; each answer says which content gave it.
In the end the newest content of both must respond. ``--check`` fails where one does not, or where an answer is of no
content that there ever was.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path

import psutil

from benchmarks.platform import Platform, preloaded, running
from benchmarks.processes import wait_for
from benchmarks.repeating import repeatedly
from benchmarks.report import Figure, publish
from benchmarks.repository.drop import make_project
from benchmarks.repository.models import ask_chat, ask_onnx, write_chat, write_onnx
from switchyard.repository.status import StatusFile

ONNX, CHAT = "means", "assistant"
VICTIMS = ("sync", "triton", "predictor", "supervisor")
_MOST_SECONDS = 2.0  # from the new content to the kill: it is judged, copied and loaded in that time
_SETTLED_SECONDS = 180.0


class Site:
    """A platform with two models, whose contents have numbers."""

    def __init__(self, project: Path, platform: Platform) -> None:
        self._models = project / "model-repository"
        self._status = StatusFile(platform.state_folder / "repository")
        self._platform = platform
        self.number = 0
        write_chat(self._models / "llm" / CHAT)

    def write(self) -> None:
        """Copy the next content over the one before, as a person does: in place."""
        self.number += 1
        write_onnx(self._models / "vision" / ONNX, self.number)
        path = self._models / "llm" / CHAT / "generation_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "top_k": self.number}))

    def kill(self, victim: str) -> None:
        """Kill a process; the supervisor is started again."""
        pid = self._pid(victim)
        if pid is None:  # between two starts: it is away already
            return
        os.kill(pid, signal.SIGKILL)
        if victim == "supervisor":
            wait_for(lambda: not psutil.pid_exists(pid), "the end of the supervisor")
            self._platform.up()

    def settle(self) -> None:
        """Wait until both models respond with their newest content.

        Raises:
            TimeoutError: they never did.
        """
        wait_for(lambda: ask_onnx(self._platform.url, ONNX) == self.number, "the newest network", _SETTLED_SECONDS)
        wait_for(lambda: ask_chat(self._platform.url, CHAT), "the language model", _SETTLED_SECONDS)
        wait_for(self._is_published, "the newest language model's folder", _SETTLED_SECONDS)

    def _is_published(self) -> bool:
        published = self._platform.state_folder / "repository/llm" / CHAT / "generation_config.json"
        return bool(json.loads(published.read_text()).get("top_k") == self.number)

    def _pid(self, victim: str) -> int | None:
        supervisor = int(json.loads((self._platform.state_folder / "run.json").read_text())["supervisor"]["pid"])
        if victim == "supervisor":
            return supervisor
        if victim == "predictor":
            return int(self._platform.row(CHAT).get("pid") or 0) or None
        wanted = {"sync": "switchyard.sync", "triton": "bin/tritonserver"}[victim]
        for process in psutil.Process(supervisor).children(recursive=True):
            try:
                if any(wanted in word for word in process.cmdline()):
                    return int(process.pid)
            except psutil.NoSuchProcess:
                continue
        return None


@contextmanager
def asked(url: str, seen: set[float]) -> Iterator[None]:
    """Ask the network all the time, and collect the numbers of the contents that responded."""

    def ask(ended: threading.Event) -> None:
        number = ask_onnx(url, ONNX)
        if number is None:
            ended.wait(0.05)
        else:
            seen.add(number)

    with repeatedly(ask, 0):
        yield


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.repository.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=15)
    parser.add_argument("--check", action="store_true", help="fail where the platform does not converge")
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    seconds: dict[str, list[float]] = defaultdict(list)
    seen, lost = set[float](), list[str]()
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder))
        with running(window="5m", project=project) as platform:
            wait_for(lambda: preloaded(platform), "the preloaded parent")
            site = Site(project, platform)
            site.write()
            site.settle()
            with asked(platform.url, seen):
                for victim in islice(cycle(VICTIMS), arguments.kills):
                    site.write()
                    time.sleep(chance.uniform(0.0, _MOST_SECONDS))
                    site.kill(victim)
                    began = time.monotonic()
                    try:
                        site.settle()
                    except TimeoutError as err:
                        lost.append(f"after the kill of {victim}: {err}")
                    seconds[victim].append(time.monotonic() - began)
            strange = sorted(number for number in seen if number not in range(1, site.number + 1))
    figures = [
        Figure(name="kills without the newest content in the end", unit="kills", values=(len(lost),), target="0"),
        Figure(name="answers of no content that there was", unit="answers", values=(len(strange),), target="0"),
        *(
            Figure(name=f"newest content after the kill of {victim}", unit="s", values=tuple(values))
            for victim, values in seconds.items()
        ),
    ]
    publish("repository.kills", figures, {"rounds": arguments.kills, "seed": arguments.seed})
    for line in (*lost, *map(str, strange)):
        print(line, file=sys.stderr)
    return int(arguments.check and bool(lost or strange))


if __name__ == "__main__":
    sys.exit(main())
