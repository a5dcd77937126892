"""A published tree that tests write by hand, followed by a run whose engines are stubs."""

import asyncio
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import httpx

from switchyard.local.plan.render import Document
from switchyard.local.plan.workloads import Options
from switchyard.local.supervisor.published_models import PublishedModels, ServicePlanner
from switchyard.repository.status import ModelStatus, RepositoryStatus, StatusFile
from switchyard.repository.verdict import Facts, Memory
from tests.switchyard.local.overlays import Stub, runtime
from tests.switchyard.local.supervisor.running import SETTINGS, Run

FACTS = Facts(
    format="huggingface", kind="llm", bytes=1, memory=Memory(weights=1), context_length=64, license="apache-2.0"
)


def vllm() -> dict[str, Any]:
    """The stub under the name and with the format of the runtime that derived services ask for."""
    document = runtime()
    document["metadata"]["name"] = "switchyard-vllm"
    document["spec"] |= {"supportedModelFormats": [{"name": "vllm"}], "protocolVersions": ["v2"]}
    return document


def documents(*stubs: Stub) -> list[Document]:
    found = [stub.document() for stub in stubs]
    for service in found:
        service["metadata"]["namespace"] = "apart"
        service["spec"]["predictor"]["annotations"]["autoscaling.knative.dev/scale-down-delay"] = "5s"
    return [SETTINGS, runtime(), vllm(), *found]


class Repository:
    """A published tree that a test writes by hand, and the follower of it."""

    def __init__(self, run: Run, root: Path) -> None:
        self.run = run
        self.published = root / "published"
        self.published.mkdir(exist_ok=True)
        self._file = StatusFile(self.published)
        self._models: dict[str, ModelStatus] = {}
        self._task: asyncio.Task[None] | None = None
        self.options = Options(
            root=root,
            state=root,
            claims={"model-repository": root},
            published={"model-repository": self.published},
        )

    async def follow(self, *stubs: Stub) -> None:
        """Begins to follow; what is published afterwards is new to the run."""
        declared = [self.run.planned(stub, self.options) for stub in stubs]
        follower = PublishedModels(
            self.published,
            declared=declared,
            planner=ServicePlanner(documents(*stubs), self.options),
            services=self.run.services,
            board=self.run.board,
        )

        for service in declared:
            await self.run.services.add(service)
        self._task = asyncio.ensure_future(follower.run())
        await asyncio.sleep(0)

    def publish(self, name: str, content: str = "one", **fields: Any) -> None:
        generation = self.published / ".objects/llm" / name / content
        generation.mkdir(parents=True, exist_ok=True)
        link = self.published / "llm" / name
        link.parent.mkdir(exist_ok=True)
        link.with_name(".new").symlink_to(generation)
        os.replace(link.with_name(".new"), link)
        known = ModelStatus(group="llm", name=name, phase="published", digest=content, facts=FACTS)
        found = replace(known, **fields)
        generation.with_name(f"{content}.json").write_text(json.dumps({"facts": asdict(found.facts or FACTS)}))
        self.say(found)

    def say(self, status: ModelStatus) -> None:
        self._models[status.name] = status
        self._file.replace(RepositoryStatus(tuple(self._models.values())))

    def remove(self, name: str) -> None:
        (self.published / "llm" / name).unlink(missing_ok=True)
        del self._models[name]
        self._file.replace(RepositoryStatus(tuple(self._models.values())))

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task


async def echo(client: httpx.AsyncClient, repository: Repository, name: str) -> Mapping[str, Any]:
    response = await client.post(repository.run.models()[name].url + "/echo", json={})
    assert response.status_code == 200, response.text
    found: Mapping[str, Any] = response.json()
    return found


def fault(repository: Repository, name: str, content: str) -> Path:
    """Puts something into a content on which its process fails; returns the file."""
    folder = repository.published / ".objects/llm" / name / content
    folder.mkdir(parents=True)
    (folder / "fault").write_text('{"say": "no weights in model.safetensors", "exit": 2}')
    return folder / "fault"


def serving(repository: Repository, name: str, answer: Mapping[str, Any]) -> str:
    """The content that the process of a response has loaded."""
    (argument,) = [one for one in answer["argv"] if one.startswith("--model_dir=")]
    return Path(argument.partition("=")[2]).name
