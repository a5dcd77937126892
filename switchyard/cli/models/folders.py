"""The folders of this project's model repository, and what was last said of them."""

import difflib
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from switchyard.cli.models.errors import ModelError
from switchyard.local.status.run_directory import Run, StateDirectory
from switchyard.repository.names import reserved_in
from switchyard.repository.placement.strays import strays
from switchyard.repository.status import (
    STATUS,
    ModelStatus,
    RepositoryStatus,
    StatusError,
    StatusFile,
    said_of_away,
    steps_away,
)
from switchyard.repository.verdict import Facts, Group

FOLDER = "model-repository"
PUBLISHED = "repository"  # below the run directory
RESERVED = "reserved-names.json"  # there, too
UNCHECKED = "unchecked"
NOT_CHECKED = "nothing has checked it yet; `switchyard model check` does"
NOT_SERVED = "not served"
NOTHING_RUNS = "nothing runs here; `switchyard up` serves it"


@dataclass(frozen=True, kw_only=True, slots=True)
class Serving:
    """What a gateway's ``/v1/models`` says of a model: its ``state``, and why it is not simply served."""

    state: str
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """A model, and what was last said of it; None where nothing was yet.

    ``runs`` says whether a platform runs here; ``serving`` is what it says of the model, None if nothing.
    """

    group: Group
    name: str
    status: ModelStatus | None
    runs: bool = False
    serving: Serving | None = None
    versions: Sequence[str] = ()  # that its folder has, in Triton's layout
    away: Sequence[str] = ()  # what it calls, and is not there

    @property
    def state(self) -> str:
        """Return the state of the newest content, and whether it or a former one is served."""
        status, serving = self.status, self.serving
        if status is None:
            return UNCHECKED if self.runs else NOT_SERVED
        if self.away or (serving is not None and serving.state == "failed"):
            return "failed"
        if status.facts is None:
            return status.phase
        if status.phase != "published":
            return f"{status.phase}, former content served"
        if not self.runs:
            return f"published, {NOT_SERVED}"
        return f"published, {serving.state if serving else 'not run yet'}"

    @property
    def reason(self) -> str:
        """Return why it is not simply served."""
        status, serving = self.status, self.serving
        if status is None:
            return NOT_CHECKED if self.runs else NOTHING_RUNS
        if self.away:
            return said_of_away(self.away)
        if status.sentence or status.phase != "published":
            return status.sentence
        if not self.runs:
            return NOTHING_RUNS
        return serving.reason if serving else ""

    def row(self) -> dict[str, Any]:
        """Return it for programs."""
        if self.status is None:
            return {"group": self.group, "name": self.name, "phase": self.state, "reason": self.reason}
        return {**status_row(self.status), "serving": asdict(self.serving) if self.serving else None}


def status_row(status: ModelStatus) -> dict[str, Any]:
    """Return a status for programs; its digest is of what was made of a folder, a verdict's is of the folder."""
    row = asdict(status)
    return {**row, "published_digest": row["digest"]}


@dataclass(frozen=True, kw_only=True, slots=True)
class Folders:
    """The repository of the project at ``root``, whose runs are recorded in ``state``."""

    root: Path
    state: StateDirectory

    @staticmethod
    def here(*, must_exist: bool = True) -> "Folders":
        """Return those of the project that contains the working directory.

        Raises:
            ModelError: it has none, and they ``must_exist``.
        """
        from switchyard.local.supervisor import project

        root = project.root_of(Path.cwd())
        if must_exist and not (root / FOLDER).is_dir():
            raise ModelError(f"there is no {FOLDER} here or above: run this in the folder of your project, or make one")
        return Folders(root=root, state=project.directory_of(root))

    def of_group(self, group: Group) -> Path:
        return self.root / FOLDER / group

    def models_of(self, group: Group) -> list[Path]:
        """Return the folders of a group's models."""
        return sorted(_folders_in(self.of_group(group)))

    def require(self, name: str) -> tuple[Group, Path]:
        """Return the group and the folder of a model, by its name or ``<group>/<name>``.

        Raises:
            ModelError: there is none, or two have the name.
        """
        group, found = _one(name, [(group, path.name) for group in get_args(Group) for path in self.models_of(group)])
        return group, self.of_group(group) / found

    def run(self) -> Run | None:
        """Return the platform that runs here."""
        return self.state.running()

    def status_file(self) -> StatusFile:
        return StatusFile(self.state.path / PUBLISHED)

    def status(self) -> RepositoryStatus:
        """Return what was last said of every folder, by the platform that runs or one that ran before.

        Raises:
            ModelError: it cannot be read.
        """
        try:
            return self.status_file().current()
        except StatusError as err:
            raise ModelError(
                f"what is known of the models cannot be read: another program wrote to {PUBLISHED}/{STATUS} in "
                f"{self.state.path.name}/. Remove that file; the platform writes it at its next start"
            ) from err
        except OSError as err:
            raise ModelError(f"what is known of the models cannot be read: {err}") from err

    def models(self) -> list[Listed]:
        """Return every model that has a folder or is being downloaded, and what lies where no model can be.

        Raises:
            ModelError: what is known of them cannot be read.
        """
        strays = self._strays()
        known = {(status.group, status.name): status for status in (*strays, *self.status().models)}
        found = {(group, entry.name) for group in get_args(Group) for entry in _folders_in(self.of_group(group))}
        # Of what was removed since the last run, nobody has said so yet.
        runs = self.run() is not None
        found |= {(stray.group, stray.name) for stray in strays}
        listed = found | {key for key, status in known.items() if status.source or runs}
        vision = {name: status for (group, name), status in known.items() if group == "vision"}

        def one(group: Group, name: str) -> Listed:
            status = known.get((group, name))
            facts = status.facts if status else None
            away = steps_away(facts, vision) if facts else ()
            versions = _versions_in(self.of_group(group) / name) if group == "vision" else ()
            return Listed(group=group, name=name, status=status, runs=runs, versions=versions, away=away)

        return [one(*key) for key in sorted(listed)]

    def _strays(self) -> list[ModelStatus]:
        try:
            return strays(self.root / FOLDER, reserved_in("llm", self._reserved()))
        except OSError:
            return []

    def model(self, name: str) -> Listed:
        """Return one model, by its name or ``<group>/<name>``.

        Raises:
            ModelError: there is none, or two have the name, or what is known of it cannot be read.
        """
        models = {(model.group, model.name): model for model in self.models()}
        return models[_one(name, models)]

    def callers(self, group: Group, name: str) -> list[str]:
        """Return the models that call a model, as far as they were judged; they call vision models alone."""
        statuses = self.status().of_group("vision") if group == "vision" else ()
        return [status.name for status in statuses if status.facts and name in status.facts.steps]

    def names_beside(self, group: Group, name: str) -> Mapping[str, str]:
        """Return the names that are taken, and by whom, but for ``name`` of ``group`` itself."""
        folders = {
            entry.name: f"{one}/{entry.name}"
            for one in get_args(Group)
            for entry in _folders_in(self.of_group(one))
            if (one, entry.name) != (group, name)
        }
        # A language model and its InferenceService share a name.
        services = {
            entry.name: f"InferenceService {entry.name}"
            for entry in _folders_in(self.root / "manifests" / "services")
            if group != "llm" or entry.name != name
        }
        return {**folders, **services, **reserved_in(group, self._reserved())}

    def _reserved(self) -> Mapping[str, str]:
        """Return the names that the platform keeps for its services, which may be of another overlay's."""
        try:
            found = json.loads((self.state.path / RESERVED).read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def facts_beside(self, name: str) -> Mapping[str, Facts]:
        """Return the facts of the other models, as far as they were judged."""
        vision = self.status().of_group("vision")  # of which some call others
        return {status.name: status.facts for status in vision if status.facts and status.name != name}

    def remove(self, folder: Path) -> None:
        """Remove a model's folder: at once for who watches, before its files are deleted.

        Raises:
            ModelError: it cannot be removed.
        """
        hidden = folder.with_name(f".{folder.name}.removing-{os.getpid()}")
        try:
            os.rename(folder, hidden)
            shutil.rmtree(hidden)
        except OSError as err:
            raise ModelError(f"{folder} cannot be removed: {err.strerror}") from err


def _one(name: str, models: Iterable[tuple[Group, str]]) -> tuple[Group, str]:
    """Return the model that has a name, or the only one of a group.

    Raises:
        ModelError: there is none, or two have the name.
    """
    found = [key for key in sorted(models) if name in (key[1], "/".join(key))]
    if not found:
        like = difflib.get_close_matches(name, [known for _, known in models], n=1)
        meant = f"did you mean {like[0]}? " if like else ""
        raise ModelError(f"there is no model {name!r} in {FOLDER}; {meant}`switchyard model list` shows those that are")
    if len(found) > 1:
        raise ModelError(f"which {name}? Say {' or '.join('/'.join(key) for key in found)}")
    return found[0]


def _versions_in(folder: Path) -> Sequence[str]:
    return sorted((path.name for path in _folders_in(folder) if path.name.isdecimal()), key=int)


def _folders_in(folder: Path) -> list[Path]:
    try:
        return [entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    except OSError:
        return []
