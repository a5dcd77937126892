"""One folder of the corpus: how it is made, and what has to be said of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from switchyard.repository.verdict import FaultCode, Group

Build = Callable[[Path], object]


@dataclass(frozen=True, kw_only=True, slots=True)
class Wrong:
    """The first fault: its code, the file that it names, and words of its sentence, the fix among them."""

    code: FaultCode
    file: str
    words: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A folder ``name`` that ``build`` fills.

    It passes, unless something is ``wrong``; with ``versions``, those are served all the same. ``notes`` are words of
    what is noted about a good one. ``taken`` are names in use, ``memory`` is the device's. ``slow`` cases take a limit
    of time to be judged, and ``alone`` ones need what a running sync has not.
    """

    name: str
    group: Group
    build: Build
    wrong: Wrong | None = None
    versions: tuple[str, ...] = ()
    notes: str = ""
    taken: Mapping[str, str] = field(default_factory=dict)
    memory: int = 0
    slow: bool = False
    alone: bool = False

    @property
    def published(self) -> bool:
        return self.wrong is None or bool(self.versions)


def vision(name: str, build: Build, *, versions: tuple[str, ...] = (), notes: str = "") -> Case:
    """A good model in Triton's layout."""
    return Case(name=name, group="vision", build=build, versions=versions, notes=notes)


def llm(name: str, build: Build, *, notes: str = "") -> Case:
    """A good model in Hugging Face's layout."""
    return Case(name=name, group="llm", build=build, notes=notes)


def no_vision(
    name: str,
    build: Build,
    code: FaultCode,
    file: str,
    *words: str,
    versions: tuple[str, ...] = (),
    slow: bool = False,
) -> Case:
    """A model in Triton's layout that is not served, or of which only ``versions`` are."""
    wrong = Wrong(code=code, file=file, words=words)
    return Case(name=name, group="vision", build=build, wrong=wrong, versions=versions, slow=slow)


def no_llm(name: str, build: Build, code: FaultCode, file: str, *words: str, memory: int = 0) -> Case:
    """A model in Hugging Face's layout that is not served; with ``memory``, not on a device that has only this."""
    wrong = Wrong(code=code, file=file, words=words)
    return Case(name=name, group="llm", build=build, wrong=wrong, memory=memory, alone=bool(memory))
