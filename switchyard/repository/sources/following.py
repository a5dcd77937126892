"""Keeps a folder of models in step with a source: what is new is fetched, what is gone there goes here.

A source is listed again and again; nothing but its listing says that something changed. A tag that moved at a hub or
registry is told once and not taken, unless the address says ``?follow=true``.
"""

import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, get_args

from switchyard.backoff import Backoff, ConsecutiveFailures
from switchyard.repository.sources.fetching import Cache, fetch
from switchyard.repository.sources.models import Place, models_of, name_of
from switchyard.repository.sources.origin import Origin
from switchyard.repository.sources.remote import Remote, Source, SourceChangedError, SourceError, StoppedError
from switchyard.repository.sources.uri import Location, base_of
from switchyard.repository.verdict import Group

_AT_ONCE = 2  # models: a small one does not wait for a large one
_LISTING_SECONDS = 300.0  # in which the most pages come, each in most of a second
_LOOK_SECONDS = 0.1  # for a stop, while a listing goes on
_SETTLE_SECONDS = 1.0  # in which a changed listing is to stay as it is: an upload is many objects

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceEvent:
    """What happened; ``place`` is None where it is the whole source, ``progress`` the bytes that are here and all.

    ``fetched``: it is here as it is there, or a source can be listed again. ``moved``: the source has another revision
    now, as ``message`` says, and ``revision`` stays. ``failed``: ``message`` says why.
    """

    kind: Literal["fetching", "fetched", "moved", "failed", "removed"]
    uri: str
    place: Place | None = None
    revision: str = ""
    progress: tuple[int, int] = (0, 0)
    message: str = ""


OnEvent = Callable[[SourceEvent], None]


class Follower:
    """Follows the models of one source into ``root``; ``on_event`` is called from several threads.

    ``seconds`` are between two listings, half of it by chance, and up to ten times that after failures.
    """

    def __init__(
        self,
        location: Location,
        source: Source,
        root: Path,
        on_event: OnEvent,
        *,
        cache: Cache | None = None,
        seconds: float = 10.0,
        settle: float = _SETTLE_SECONDS,
        listing_seconds: float = _LISTING_SECONDS,
    ) -> None:
        self._location = location
        self._source = source
        self._root = root
        self._on_event = on_event
        self._cache = cache
        self._settle = settle
        self._pauses = Backoff(first=seconds, most=seconds)
        self._failures = ConsecutiveFailures(backoff=Backoff(first=seconds, most=10 * seconds))
        self._told: dict[Place | None, tuple[str, str, str]] = {}
        self._hidden: set[Place | None] = set()  # of which progress was told since
        self._stop = threading.Event()
        self._listings = _Listings(source, self._stop, listing_seconds)

    def run(self) -> None:
        """Follow until ``stop``."""
        while not self._stop.is_set():
            pause = self._pauses.pause(1) if self.poll() else self._failures.add()
            self._stop.wait(pause)

    def stop(self) -> None:
        """End ``run`` within a chunk; what was fetched so far is kept."""
        self._stop.set()

    def poll(self) -> bool:
        """List once and fetch what changed; return whether the source and all its models could be read."""
        try:
            before = self._list()
            models = before
            # An upload is many objects: what changed is taken once it stays as it is.
            if self._source.follows and any(self._changed(*model) for model in before.items()):
                self._stop.wait(self._settle)
                models = self._list()
        except StoppedError:
            return True
        except SourceError as err:
            self._fail_all(str(err))
            return False
        if self._told.pop(None, None):
            self._on_event(SourceEvent(kind="fetched", uri=self._source.uri))
        settled = {place: remote for place, remote in models.items() if before.get(place) == remote}
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="model") as pool:
            done = all(list(pool.map(self._take, settled, settled.values()))) and settled == models
        for place, uri in self._taken().items():
            if place not in models and place not in before:
                self._remove(place, uri)
        if done:
            self._failures.reset()
        return done

    def _list(self) -> Mapping[Place, Remote]:
        return models_of(self._location, self._listings.next())

    def _changed(self, place: Place, remote: Remote) -> bool:
        return Origin.read(self._folder(place)) != Origin.of(remote)

    def _take(self, place: Place, remote: Remote) -> bool:
        """Fetch a model unless it is here; return whether it is here now, or is not to be."""
        origin = Origin.read(self._folder(place))
        if origin == Origin.of(remote):
            self._tell(SourceEvent(kind="fetched", uri=remote.uri, place=place, revision=remote.revision))
            return True
        if origin and base_of(origin.uri) != base_of(remote.uri):
            self._fail(place, remote.uri, f"{place} comes from {origin.uri} already: give one of them another name")
            return False
        if origin and not self._source.follows and origin.uri == remote.uri:
            message = (
                f"{remote.uri} is {remote.revision} now, and {place} stays {origin.revision}: write the new revision "
                "into the address to take it, or ?follow=true to take every one"
            )
            event = SourceEvent(kind="moved", uri=remote.uri, place=place, revision=origin.revision, message=message)
            self._tell(event)
            return True
        return self._fetch(place, remote)

    def _fetch(self, place: Place, remote: Remote) -> bool:
        event = partial(SourceEvent, uri=remote.uri, place=place, revision=remote.revision)

        kind, _, message = self._told.get(place, ("", "", ""))
        reason = message if kind == "failed" else ""  # it stands until the model is here

        def on_progress(done: int, total: int) -> None:
            self._hidden.add(place)
            self._on_event(event(kind="fetching", progress=(done, total), message=reason))

        try:
            fetch(
                self._source, remote, self._folder(place), on_progress=on_progress, stop=self._stop, cache=self._cache
            )
        except StoppedError:
            return True
        except SourceChangedError:  # somebody uploads: the next listing has what is there then
            return False
        except SourceError as err:
            self._fail(place, remote.uri, str(err))
            return False
        logger.info("fetched a model", extra={"model": str(place), "source": remote.uri, "revision": remote.revision})
        self._tell(event(kind="fetched", progress=(remote.size, remote.size)))
        return True

    def _taken(self) -> dict[Place, str]:
        """Return the models that came from this source, with their addresses."""
        return {place: origin.uri for place, origin in _origins(self._root).items() if _is_of(origin, self._source)}

    def _remove(self, place: Place, uri: str) -> None:
        logger.info("removed a model that is gone at its source", extra={"model": str(place), "source": uri})
        _remove(self._folder(place))
        self._told.pop(place, None)
        self._on_event(SourceEvent(kind="removed", uri=uri, place=place))

    def _fail_all(self, message: str) -> None:
        """Say of every model of this source that it is not followed now."""
        taken = self._taken()
        if not taken and (self._location.name or self._location.scheme in ("hf", "oci")):
            taken = {Place(self._location.group or "llm", self._location.name or name_of(self._location)): ""}
        for place, uri in taken.items():
            self._fail(place, uri or self._source.uri, message)
        if not taken:
            self._fail(None, self._source.uri, message)

    def _fail(self, place: Place | None, uri: str, message: str) -> None:
        self._tell(SourceEvent(kind="failed", uri=uri, place=place, message=message))

    def _tell(self, event: SourceEvent) -> None:
        """Pass on an event that stays true until something changes, once, and again after the progress of a fetch."""
        said = (event.kind, event.revision, event.message)
        is_new = self._told.get(event.place) != said
        if not is_new and event.place not in self._hidden:
            return
        self._told[event.place] = said
        self._hidden.discard(event.place)
        if is_new and event.message:
            logger.warning("%s", event.message, extra={"model": str(event.place or ""), "source": event.uri})
        self._on_event(event)

    def _folder(self, place: Place) -> Path:
        return self._root / place.group / place.name


class _Listings:
    """Listings of a source in threads of their own, since a store may keep its library in one call for ever."""

    def __init__(self, source: Source, stop: threading.Event, seconds: float) -> None:
        self._source = source
        self._stop = stop
        self._seconds = seconds
        self._running: Future[Remote] = Future()
        self._running.cancel()

    def next(self) -> Remote:
        """List once.

        Raises:
            StoppedError: the stop was set.
            SourceError: it cannot be listed, or not in time; none begins while the one before goes on.
        """
        if self._running.done():
            self._running = Future()
            threading.Thread(target=self._list, args=(self._running,), daemon=True, name="listing").start()
        deadline = time.monotonic() + self._seconds
        while time.monotonic() < deadline:
            if self._stop.is_set():
                raise StoppedError(f"The listing of {self._source.uri} was stopped")
            with suppress(TimeoutError):
                return self._running.result(_LOOK_SECONDS)
        raise SourceError(
            f"{self._source.uri} cannot be read: its listing goes on for more than {self._seconds:.0f} seconds: look "
            "at the store, and begin this program again if it is said for long",
            transient=True,
        )

    def _list(self, listing: "Future[Remote]") -> None:
        try:
            listing.set_result(self._source.resolve())
        except SourceError as err:
            listing.set_exception(err)
        except Exception as err:  # a library that met what its store never sends
            logger.warning("a listing cannot be read", exc_info=True, extra={"source": self._source.uri})
            told = f"{self._source.uri} cannot be read: its store sent no listing ({type(err).__name__})"
            listing.set_exception(SourceError(told, transient=True))


def remove_others(root: Path, sources: Iterable[Source]) -> None:
    """Remove from ``root``, which has nothing but what was fetched, the models of sources that are no longer named."""
    kept = tuple(sources)
    for place, origin in _origins(root).items():
        if not any(_is_of(origin, source) for source in kept):
            logger.info("removed a model whose source is not named", extra={"model": str(place), "source": origin.uri})
            _remove(root / place.group / place.name)


def _is_of(origin: Origin, source: Source) -> bool:
    return f"{base_of(origin.uri)}/".startswith(f"{base_of(source.uri).rstrip('/')}/")


def _origins(root: Path) -> dict[Place, Origin]:
    groups: tuple[Group, ...] = get_args(Group)
    folders = (entry for group in groups if (root / group).is_dir() for entry in (root / group).iterdir())
    found = ((folder, Origin.read(folder)) for folder in folders if not folder.name.startswith("."))
    return {
        Place("vision" if folder.parent.name == "vision" else "llm", folder.name): origin
        for folder, origin in found
        if origin
    }


def _remove(folder: Path) -> None:
    """Remove a model's folder: out of sight at once, then file by file."""
    hidden = folder.with_name(f".{folder.name}.removed")
    shutil.rmtree(hidden, ignore_errors=True)
    os.rename(folder, hidden)
    shutil.rmtree(hidden, ignore_errors=True)
