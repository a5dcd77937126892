"""Follows all folders of the repository."""

import asyncio
import logging
from contextlib import suppress

from switchyard.repository.inspection import Device, Surroundings, device_of
from switchyard.repository.placement.strays import strays
from switchyard.repository.publishing import Generation
from switchyard.repository.status import ModelStatus
from switchyard.repository.verdict import FaultCode
from switchyard.sync.folders import ModelKey
from switchyard.sync.model import RETRY_SECONDS, Model, Parts
from switchyard.sync.reserved import ReservedNames
from switchyard.sync.watching import changes

COLLECT_SECONDS = 20.0

logger = logging.getLogger(__name__)


class Syncer:
    """Has a ``Model`` for each folder, and tells each of what it depends on in others."""

    def __init__(self, parts: Parts, *, reserved: ReservedNames, device: Device) -> None:
        self._parts = parts
        self._reserved = reserved
        self._device = device
        self._models: dict[ModelKey, Model] = {}
        self.revision = 0
        self._tasks: asyncio.TaskGroup

    async def prepare(self, generations: list[Generation]) -> None:
        """Take up what was known; ``generations`` are what is published. Then the statuses of all models are there."""
        known = {ModelKey(generation.group, generation.name): generation for generation in generations}
        for key in sorted({*known, *await self._keys()}):
            self._models[key] = Model(key, self._parts, self, known.get(key))
        for model in self._models.values():
            await model.restore()
        await self._look_for_strays()

    async def run(self) -> None:
        """Follow the folders until cancelled."""
        async with asyncio.TaskGroup() as self._tasks:
            for task in (self._watch(), self._collect(), self._reserved.follow(self._on_reserved)):
                self._tasks.create_task(task)
            for model in self._models.values():
                self._tasks.create_task(self._run(model))

    def surroundings(self, key: ModelKey) -> Surroundings:
        """Return what a verdict on ``key`` depends on.

        Of two folders with one name, the one that is published has it, or the first by group where none is. A name
        that a service has is none of theirs.
        """
        names, models = {}, {}
        for other in self._models.values():
            if other.key == key:
                continue
            if other.generation and other.key.group == key.group == "vision":  # of which some call others
                models[other.key.name] = other.generation.facts
            if other.key.name != key.name or other.generation or not self._is_first(key, other):
                names[other.key.name] = str(other.key)
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
        self.on_published(model.key)
        # An event of a folder that came back meanwhile was told to the model that is gone.
        if model.key in await self._keys():
            self._look(model.key)

    def _look(self, key: ModelKey) -> None:
        if model := self._models.get(key):
            model.look_again()
        else:
            self._follow(key)

    async def _watch(self) -> None:
        async for paths in changes(self._parts.roots.paths):
            found = {None} if paths is None else self._parts.roots.touched(paths)
            await self._look_for_strays()
            keys = await self._keys()
            for key in {*keys, *self._models}:
                if not found.isdisjoint((None, key, key.group)):
                    self._look(key)

    async def _look_for_strays(self) -> None:
        def found() -> list[ModelStatus]:
            used = self._reserved.of("llm")  # a service that serves the folder of its own name has it there
            return [stray for root in self._parts.roots.paths for stray in strays(root, used)]

        with suppress(OSError):  # which is logged where the models are looked for
            self._parts.board.set_strays(await asyncio.to_thread(found))

    async def _keys(self) -> set[ModelKey]:
        while True:
            try:
                return await asyncio.to_thread(self._parts.roots.keys)
            except OSError as err:
                logger.error("the repository cannot be read: %s", err)
                await asyncio.sleep(RETRY_SECONDS)

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
