"""Makes batches by OpenAI's own client, and reads what they wrote."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import openai
from openai.types import Batch

from switchyard.gateway.files.opening import open_file_store
from switchyard.gateway.files.storage import Storage
from switchyard.gateway.files.stored_files import FileLimits, StoredFiles
from switchyard.store.factory import open_records
from tests.switchyard.gateway.conftest import Bench, Call, Script, completion, gateway
from tests.switchyard.gateway.tenants.access import KEYS

LIMITS = FileLimits(file_bytes=2**30, tenant_bytes=2**32)
CHAT, EMBEDDINGS = "/v1/chat/completions", "/v1/embeddings"
Line = dict[str, Any]


@asynccontextmanager
async def with_batches(
    folder: Path, script: Script = completion, *, place: str = "", **options: Any
) -> AsyncIterator[Bench]:
    """A gateway that keeps batches below ``folder``, and their files there or at a ``place``."""
    records = open_records(f"sqlite://{folder}/store.db")
    blobs = open_file_store(place or str(folder / "files"))
    storage = Storage(records=records, files=StoredFiles(records, blobs, LIMITS))
    try:
        async with gateway(folder, script, storage=storage, **options) as bench:
            yield bench
    finally:
        await records.aclose()


def client(url: str, key: str = KEYS["acme"], *, retries: int = 0) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=url + "/v1", api_key=key, max_retries=retries, timeout=20)


def chats(count: int, model: str = "chat", start: int = 0) -> list[Line]:
    """Lines that ask a model, each its own question."""
    return [
        line(f"line-{number}", {"model": model, "messages": [{"role": "user", "content": str(number)}]})
        for number in range(start, start + count)
    ]


def line(custom_id: str, body: Any, url: str = CHAT) -> Line:
    return {"custom_id": custom_id, "method": "POST", "url": url, "body": body}


async def submitted(
    http: openai.AsyncOpenAI, lines: Iterable[Line | str], endpoint: str = CHAT, **fields: Any
) -> Batch:
    """A new batch of these lines."""
    content = "\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines)
    file = await http.files.create(file=("lines.jsonl", content.encode()), purpose="batch")
    window: Any = fields.pop("window", "24h")
    given: Any = endpoint
    return await http.batches.create(input_file_id=file.id, endpoint=given, completion_window=window, **fields)


async def ended(http: openai.AsyncOpenAI, batch: Batch, seconds: float = 30.0) -> Batch:
    """The batch when nobody works on it any more."""
    async with asyncio.timeout(seconds):
        while batch.status in ("validating", "in_progress", "finalizing", "cancelling"):
            await asyncio.sleep(0.05)
            batch = await http.batches.retrieve(batch.id)
    return batch


async def rows(http: openai.AsyncOpenAI, file_id: str | None) -> list[Any]:
    """The lines of an output, none where there is no file."""
    if file_id is None:
        return []
    return [json.loads(text) for text in (await http.files.content(file_id)).text.splitlines()]


async def results(http: openai.AsyncOpenAI, batch: Batch) -> tuple[dict[str, Any], dict[str, Any]]:
    """The rows of the output and of the errors by their custom ids; no id is in both, or twice."""
    output, errors = await rows(http, batch.output_file_id), await rows(http, batch.error_file_id)
    ids = [row["custom_id"] for row in [*output, *errors]]
    assert len(ids) == len(set(ids))
    assert batch.request_counts is not None
    assert (batch.request_counts.completed, batch.request_counts.failed) == (len(output), len(errors))
    return {row["custom_id"]: row for row in output}, {row["custom_id"]: row for row in errors}


async def echo(call: Call) -> None:
    """Answers with what was asked."""
    payload = json.loads(call.body)
    content = payload["messages"][0]["content"]
    message = {"role": "assistant", "content": content}
    await call.answer({"id": "1", "model": payload["model"], "choices": [{"index": 0, "message": message}]})


def said(row: Any) -> str:
    """What a line's model answered."""
    content: str = row["response"]["body"]["choices"][0]["message"]["content"]
    return content
