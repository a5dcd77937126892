"""A project with a model repository, and what a platform that runs there would write of it."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from switchyard.catalog import Catalog, CatalogFile, Model, State, with_repository
from switchyard.cli.app import app
from switchyard.local.processes import identities
from switchyard.local.status.run_directory import VARIABLE, Run, StateDirectory
from switchyard.repository.status import ModelStatus, RepositoryStatus, StatusFile
from switchyard.repository.verdict import Facts, Memory, Tensor

GATEWAY = "http://127.0.0.1:1"
FACTS = Facts(
    format="onnx",
    kind="vision",
    bytes=1200,
    memory=Memory(weights=1000, overhead=24),
    versions=("1",),
    inputs=(Tensor(name="x", datatype="FP32", shape=(-1, 4)),),
    outputs=(Tensor(name="y", datatype="FP32", shape=(-1, 4)),),
    license="mit",
)
Judge = Callable[[Path], ModelStatus]


@dataclass
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Project:
    """A folder with a model repository, in which commands are run."""

    root: Path
    state: StateDirectory
    statuses: dict[str, ModelStatus] = field(default_factory=dict)
    unserved: str = ""  # why what is published is not served

    def run(self, *arguments: str, typed: str = "", **env: str) -> Said:
        done = CliRunner().invoke(app, ["model", *arguments], input=typed, env={"COLUMNS": "200", **env})
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Said(done.exit_code, done.stdout, done.stderr)

    def folder(self, path: str) -> Path:
        return self.root / "model-repository" / path

    def say(self, *statuses: ModelStatus) -> None:
        """Write what is known of models, as whoever judges them does."""
        self.statuses |= {status.name: status for status in statuses}
        self._write()

    def forget(self, name: str) -> None:
        self.statuses.pop(name, None)
        self._write()

    def _write(self) -> None:
        published = self.state.path / "repository"
        published.mkdir(parents=True, exist_ok=True)
        StatusFile(published).replace(RepositoryStatus(tuple(self.statuses.values())))
        service = Model(name="vision", kind="vision", url=GATEWAY)
        models = [with_repository(replace(service, name=name), status) for name, status in self.statuses.items()]
        if self.unserved:
            models = [replace(model, state=State(phase="failed", reason=self.unserved)) for model in models]
        CatalogFile(self.state.catalog).replace(Catalog({model.name: model for model in models}))


@dataclass
class Platform:
    """What runs in a project: it judges the folders of ``vision`` by ``judge``."""

    project: Project
    judge: Judge
    ended: threading.Event = field(default_factory=threading.Event)

    def follow(self) -> None:
        vision, known = self.project.folder("vision"), dict[str, int]()
        while not self.ended.wait(0.01):
            there = {entry.name: entry.stat().st_ino for entry in vision.iterdir() if not entry.name.startswith(".")}
            for name in known.keys() - there.keys():
                self.project.forget(name)
            for name in [name for name, inode in there.items() if known.get(name) != inode]:
                self.project.say(replace(self.judge(vision / name), since=str(time.time())))
            known = there


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    for name in ("SWITCHYARD_URL", "SWITCHYARD_KEY", "SWITCHYARD_PORT"):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "project"
    for group in ("vision", "llm"):
        (root / "model-repository" / group).mkdir(parents=True)
    (root / "manifests" / "services" / "embed").mkdir(parents=True)
    (root / "manifests" / "services" / "kustomization.yaml").write_text("# A list.\nresources:\n  - embed\n")
    monkeypatch.chdir(root)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "state"))
    return Project(root, StateDirectory(tmp_path / "state"))


def served(folder: Path) -> ModelStatus:
    return ModelStatus(group="vision", name=folder.name, phase="published", digest="d", facts=FACTS)


@pytest.fixture
def judge() -> Judge:
    """What the platform says of a folder; tests replace it."""
    return served


@pytest.fixture
def platform(project: Project, judge: Judge) -> Iterator[Platform]:
    """A platform that runs in the project: this process stands for its supervisor."""
    me = identities.identify(os.getpid())
    assert me is not None
    project.state.make()
    project.state.write(
        Run(supervisor=me, overlay="", rendered="", run_id="", gateway=GATEWAY, gateway_name="gateway", control="")
    )
    platform = Platform(project, judge)
    following = threading.Thread(target=platform.follow)
    following.start()
    yield platform
    platform.ended.set()
    following.join()
