"""Follows all folders of the repository."""

import asyncio
import logging
import time
from contextlib import suppress
from typing import get_args

from switchyard.repository.inspection import Device, Surroundings, device_of
from switchyard.repository.placement.strays import strays
from switchyard.repository.publishing import Generation
from switchyard.repository.status import ModelStatus
from switchyard.repository.verdict import Facts, FaultCode, Group
from switchyard.sync.folders import ModelKey
from switchyard.sync.model import RETRY_SECONDS, Model, Parts
from switchyard.sync.reserved import ReservedNames
from switchyard.sync.watching import changes

COLLECT_SECONDS = 20.0
LIST_SECONDS = 0.1  # between two listings: what changes meanwhile has one

logger = logging.getLogger(__name__)


class Syncer:
    """Has a ``Model`` for each folder, and tells each of what it depends on in others."""

    def __init__(self, parts: Parts, *, reserved: ReservedNames, device: Device) -> None:
        self._parts = parts
        self._reserved = reserved
        self._device = device
        self._models: dict[ModelKey, Model] = {}
        self._strays: list[ModelStatus] = []
        self._to_list = asyncio.Event()
        self.revision = 0
        self._tasks: asyncio.TaskGroup

    async def prepare(self, generations: list[Generation]) -> None:
        """Take up what was known; ``generations`` are what is published. Then the statuses of all models are there."""
        known = {ModelKey(generation.group, generation.name): generation for generation in generations}
        for key in sorted({*known, *await self._listed(set(known))}):
            self._models[key] = Model(key, self._parts, self, known.get(key))
        for model in self._models.values():
            await model.restore()

    async def run(self) -> None:
        """Follow the folders until cancelled."""
        async with asyncio.TaskGroup() as self._tasks:
            for task in (self._watch(), self._list(), self._collect(), self._reserved.follow(self._on_reserved)):
                self._tasks.create_task(task)
            for model in self._models.values():
                self._tasks.create_task(self._run(model))

    def surroundings(self, key: ModelKey) -> Surroundings:
        """Return what a verdict on ``key`` depends on.

        Of two folders with one name, the one that is published has it, or the first by group where none is. A name
        that a service has is none of theirs.
        """
        taken = (twin for twin in self._twins(key) if twin.generation or not self._is_first(key, twin))
        names = {twin.key.name: str(twin.key) for twin in taken}
        models: dict[str, Facts] = {}
        if key.group == "vision":  # of which some call others
            for other in self._models.values():
                if other.generation and other.key.group == "vision" and other.key != key:
                    models[other.key.name] = other.generation.facts
        names.update(self._reserved.of(key.group))
        return Surroundings(names=names, models=models, device=device_of(key.group, self._device))

    def on_published(self, key: ModelKey) -> None:
        """Judge again what depends on ``key``: ensembles that call it, and folders that have its name."""
        self.revision += 1
        for model in self._models.values():
            verdict = model.verdict
            if model.key == key or verdict is None:
                continue
            codes = {fault.code for fault in verdict.faults}
            calls = verdict.facts is not None and key.name in verdict.facts.steps
            if calls or FaultCode.ENSEMBLE in codes or (FaultCode.NAME in codes and model.key.name == key.name):
                model.look_again(judge=True)

    def _twins(self, key: ModelKey) -> list[Model]:
        """Return the models of other groups that have the name of ``key``."""
        keys = (ModelKey(group, key.name) for group in get_args(Group) if group != key.group)
        return [self._models[twin] for twin in keys if twin in self._models]

    def _is_first(self, key: ModelKey, other: Model) -> bool:
        mine = self._models.get(key)
        return key < other.key or (mine is not None and mine.generation is not None)

    def _follow(self, key: ModelKey) -> None:
        model = self._models[key] = Model(key, self._parts, self, None)
        self._tasks.create_task(self._run(model))

    async def _run(self, model: Model) -> None:
        while True:
            try:
                await model.run()
                break
            except Exception:  # one folder must not stop all others
                logger.exception("%s is not followed for %s s", model.key, RETRY_SECONDS)
                await asyncio.sleep(RETRY_SECONDS)
        del self._models[model.key]
        if model.generation or self._twins(model.key):  # else nobody could depend on it
            self.on_published(model.key)
        # An event of a folder that came back meanwhile was told to the model that is gone; or another has room now.
        self._to_list.set()

    async def _watch(self) -> None:
        async for paths in changes(self._parts.roots.paths):
            found = {None} if paths is None else self._parts.roots.touched(paths)
            for model in self._models.values():
                if not found.isdisjoint((None, model.key, model.key.group)):
                    model.look_again()
            self._to_list.set()

    async def _list(self) -> None:
        """Follow folders that came: one listing serves all that changed since the last one."""
        while True:
            await self._to_list.wait()
            self._to_list.clear()
            began = time.monotonic()
            for key in await self._listed(set(self._models)):
                self._follow(key)
            # Long ones take at most half of the time.
            await asyncio.sleep(max(LIST_SECONDS, time.monotonic() - began))

    async def _listed(self, followed: set[ModelKey]) -> list[ModelKey]:
        """Return the folders to follow beside those that are ``followed``; tell what is left out, or no model's."""
        used = self._reserved.of("llm")  # a service that serves the folder of its own name has it there
        roots = self._parts.roots
        with suppress(OSError):  # which is logged below
            self._strays = await asyncio.to_thread(lambda: [one for root in roots.paths for one in strays(root, used)])
        while True:
            try:
                listed = await asyncio.to_thread(roots.select, followed)
                break
            except OSError as err:
                logger.error("the repository cannot be read: %s", err)
                await asyncio.sleep(RETRY_SECONDS)
        self._parts.board.set_strays([*self._strays, *listed.over_limit])
        return listed.keys

    async def _collect(self) -> None:
        while True:
            await asyncio.sleep(COLLECT_SECONDS)
            try:
                await asyncio.to_thread(self._parts.published.collect)
            except OSError as err:
                logger.error("files that nobody reads any more cannot be removed: %s", err)

    def _on_reserved(self, changed: set[str]) -> None:
        for model in self._models.values():
            if model.key.name in changed:
                model.look_again(judge=True)
