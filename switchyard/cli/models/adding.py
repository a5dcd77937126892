"""Puts a model into the repository: judged first, copied whole beside its place, and there by one rename."""

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from switchyard.cli.models.contents import NAME_IT, as_folder, name_of, require_group
from switchyard.cli.models.errors import ModelError
from switchyard.cli.models.folders import FOLDER, Folders
from switchyard.cli.models.judging import judge
from switchyard.cli.models.manifests import require_writable
from switchyard.cli.models.progress import progress
from switchyard.repository.names import name_fault
from switchyard.repository.placement.layout import group_of, paths_below
from switchyard.repository.sources import Remote, Source, fetch, open_source, parse
from switchyard.repository.sources.exchange import exchange
from switchyard.repository.sources.origin import Origin
from switchyard.repository.sources.stores.folder import FolderSource
from switchyard.repository.verdict import Group, Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """A model that somebody wants: a path or an address, its name if it has another, whether it may replace one.

    With ``write`` it must be one whose InferenceService can be written.
    """

    place: str
    name: str = ""
    replace: bool = False
    write: bool = False


class RejectedError(Exception):
    """Nothing in the folder can be served."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.sentence)
        self.verdict = verdict


def add(folders: Folders, wish: Wish) -> Verdict:
    """Add a model and return the verdict on it; faults in it are of versions that are left out.

    Raises:
        RejectedError: nothing in it can be served; the repository is as it was.
        ModelError: it is no model, its name is taken, or a file cannot be written.
        SourceError: it cannot be fetched.
        JudgeError: no verdict could be had, for a reason that is not the folder's.
    """
    return _add_remote(folders, wish) if "://" in wish.place else _add_local(folders, wish)


def _add_local(folders: Folders, wish: Wish) -> Verdict:
    with as_folder(Path(wish.place)) as folder:
        group = require_group(paths_below(folder), wish.place)
        name = wish.name or name_of(os.path.abspath(wish.place))
        target = _target(folders, group, name, wish)
        verdict = _good(judge(folders, folder, group, name))  # before it is copied, as that can take long
        source = FolderSource(root=folder, uri=Path(wish.place).name)
        staged = _fetched(source, source.resolve(), target, f"copying {name}")
        Origin.forget(staged)  # a path of this machine says nothing to those who use the model
    _put(staged, target)
    return verdict


def _add_remote(folders: Folders, wish: Wish) -> Verdict:
    location = parse(wish.place)
    name = wish.name or location.name or name_of(location.path or location.place)
    source = open_source(location, claims={FOLDER: folders.root / FOLDER})
    remote = source.resolve()
    paths = [file.path for file in remote.files]
    at_top = [path for path in paths if path.count("/") < 2]
    if location.scheme in ("s3", "gs") and not location.path and not group_of(at_top):
        inside = next((path.rpartition("/")[0] for path in paths if path.count("/") > 1), "vision/digits")
        folder = "/".join(inside.split("/")[:2])
        raise ModelError(
            f"{wish.place} is a whole bucket: name the folder of a model in it, such as {location.uri}/{folder}"
        )
    group = require_group(paths, wish.place)
    target = _target(folders, group, name, wish)
    staged = _fetched(source, remote, target, f"downloading {name}")
    try:
        verdict = _good(judge(folders, staged, group, name))
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise
    _put(staged, target)
    return verdict


def _target(folders: Folders, group: Group, name: str, wish: Wish) -> Path:
    """Return where the model goes.

    Raises:
        ModelError: its name is none, or taken, or its service cannot be written.
    """
    if fault := name_fault(name, {}, NAME_IT):
        raise ModelError(fault.message)
    if fault := name_fault(name, folders.names_beside(group, name)):
        raise ModelError(f"{fault.message} Or give this one another name with --name.")
    target = folders.of_group(group) / name
    if target.exists() and not wish.replace:
        raise ModelError(
            f"{group}/{name} is there already: --replace puts this in its place, --name gives this another name"
        )
    if wish.write:
        require_writable(folders.root, group, name)
    return target


def _good(verdict: Verdict) -> Verdict:
    if verdict.facts is None:
        raise RejectedError(verdict)
    return verdict


def _fetched(source: Source, remote: Remote, target: Path, title: str) -> Path:
    """Fetch into a hidden folder beside the target, which no watcher looks at; a fetch that was killed goes on."""
    staged = target.with_name(f".{target.name}.adding")
    with progress(title) as on_progress:
        fetch(source, remote, staged, on_progress=on_progress)
    for path in staged.rglob("*"):
        if path.is_file():
            path.chmod(0o644)  # it is its owner's to edit from now on
    return staged


def _put(staged: Path, target: Path) -> None:
    try:
        exchange(staged, target)
    except OSError as err:
        raise ModelError(f"{target} cannot be written: {err.strerror}") from err
    for former in (staged, staged.with_name(f"{staged.name}.old")):
        with suppress(OSError):
            shutil.rmtree(former)
