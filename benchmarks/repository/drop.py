"""``python -m benchmarks.repository.drop``: how soon a folder that was dropped into the repository gives an answer.

Each round copies a model under a new name into ``model-repository/`` of a platform that runs, asks for it through the
gateway until the first answer, and removes it. The time begins when the copy is complete. The platform has vision's
Triton running and the preloaded parent ready, as a minute after ``switchyard up``.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.platform import Platform, preloaded, running
from benchmarks.processes import ROOT, wait_for
from benchmarks.report import Figure, publish
from benchmarks.repository.models import ask_chat, ask_onnx, write_chat, write_onnx
from switchyard.repository.status import ModelStatus, StatusFile
from switchyard.repository.verdict import Group

_ASK_SECONDS = 0.01
_DEADLINE = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.repository.drop", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder))
        made = Path(folder) / "made"
        write_onnx(made / "onnx", 1)
        with running(window="5m", project=project) as platform:
            wait_for(lambda: preloaded(platform), "the preloaded parent")
            drops = Drops(platform, project)
            drops.drop("vision", made / "onnx", "first", ask_onnx)
            onnx = [drops.drop("vision", made / "onnx", f"onnx-{number}", ask_onnx) for number in range(rounds)]
            write_chat(made / "chat")
            chat = [drops.drop("llm", made / "chat", f"chat-{number}", ask_chat) for number in range(rounds)]
    figures = [
        Figure(name="ONNX of 10 MB: first answer after", unit="s", values=tuple(onnx), target="p50 <= 2"),
        Figure(name="chat model of 1 M: first answer after", unit="s", values=tuple(chat), target="p50 <= 5"),
        *drops.phases(),
    ]
    publish("repository.drop", figures, {"rounds": rounds})


def make_project(folder: Path) -> Path:
    """Make a project of this one's code, whose repository has no models but those that the overlay's steps need."""
    repository = folder / "project/model-repository"
    repository.mkdir(parents=True)
    for name in ("predictors", "switchyard"):
        (repository.parent / name).symlink_to(ROOT / name)
    for group in ("vision", "llm"):
        (repository / group).mkdir(parents=True)
    shutil.copytree(ROOT / "model-repository/complexity", repository / "complexity")
    return repository.parent


class Drops:
    """Drops models into the repository of ``platform``, one after the other."""

    def __init__(self, platform: Platform, project: Path) -> None:
        self._url = platform.url
        self._repository = project / "model-repository"
        self._published = platform.state_folder / "repository"
        self._seconds: dict[tuple[str, str], list[float]] = {}

    def _status(self, group: Group, name: str) -> ModelStatus | None:
        return StatusFile(self._published).current().find(group, name)

    def drop(self, group: Group, made: Path, name: str, ask: Callable[[str, str], object]) -> float:
        """Return the seconds from the complete copy to the first answer."""
        folder = self._repository / group / name
        shutil.copytree(made, folder)
        began = time.monotonic()
        while not ask(self._url, name):
            if time.monotonic() > began + _DEADLINE:
                raise TimeoutError(f"{name} did not respond: {self._status(group, name)}")
            time.sleep(_ASK_SECONDS)
        seconds = time.monotonic() - began
        status = self._status(group, name)
        for phase, took in ((status.seconds or {}) if status else {}).items():
            self._seconds.setdefault((group, phase), []).append(took)
        shutil.rmtree(folder)
        wait_for(lambda: not (self._published / group / name).is_symlink(), f"{name} is gone")
        return seconds

    def phases(self) -> list[Figure]:
        """Return how long each phase of the check took."""
        return [
            Figure(name=f"{group}: {phase}", unit="s", values=tuple(values))
            for (group, phase), values in self._seconds.items()
        ]


if __name__ == "__main__":
    main()
