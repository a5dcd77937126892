"""Official clients, unmodified, get from the cache what they got from the model, with either store."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from switchyard.store.factory import open_recordings
from tests.switchyard.gateway.cache.cached import Counted, ask, result, tenants
from tests.switchyard.gateway.cache.test_items import embed, vectors
from tests.switchyard.gateway.conftest import Bench, Call, Script, gateway
from tests.switchyard.gateway.tenants.access import KEYS
from tests.switchyard.store.conftest import redis_server, sqlite_url, url

__all__ = ["redis_server", "sqlite_url", "url"]
MESSAGES: Any = [{"role": "user", "content": "hi"}]
WITH_USAGE: Any = {"include_usage": True}


@asynccontextmanager
async def bench_of(folder: Path, url: str, script: Script) -> AsyncIterator[Bench]:
    store = open_recordings(url)
    try:
        async with gateway(folder, script, tenants=await tenants(folder), recordings=store) as bench:
            yield bench
    finally:
        await store.aclose()


@pytest.fixture
async def bench(tmp_path: Path, url: str) -> AsyncIterator[Bench]:
    async with bench_of(tmp_path, url, Counted()) as one:
        yield one


@pytest.fixture
async def embedding(tmp_path: Path, url: str) -> AsyncIterator[Bench]:
    async with bench_of(tmp_path, url, embed) as one:
        yield one


async def test_the_openai_client_chats_with_the_cache(bench: Bench) -> None:
    async with openai.AsyncOpenAI(base_url=f"{bench.url}/v1", api_key=KEYS["acme"]) as client:
        create = client.chat.completions.with_raw_response.create
        asked: Any = {"model": "chat", "messages": MESSAGES, "temperature": 0}
        first, second = await create(**asked), await create(**asked)
        assert [one.headers["x-switchyard-cache"] for one in (first, second)] == ["miss", "hit"]
        whole = first.parse()
        assert second.parse() == whole
        assert whole.usage is not None

        # From the plain response: what the client puts together is the same.
        streamed = [
            chunk
            async for chunk in await client.chat.completions.create(**asked, stream=True, stream_options=WITH_USAGE)
        ]
        text = "".join(chunk.choices[0].delta.content or "" for chunk in streamed if chunk.choices)
        assert text == whole.choices[0].message.content
        assert streamed[-1].usage == whole.usage
        assert len(bench.model.calls) == 1


async def test_the_openai_client_has_embeddings_of_the_cache(embedding: Bench) -> None:
    bench = embedding
    await vectors(bench, "a", "bb", encoding_format="base64")
    async with openai.AsyncOpenAI(base_url=f"{bench.url}/v1", api_key=KEYS["acme"]) as client:
        first = await client.embeddings.create(model="embed", input=["a", "bb"], encoding_format="float")
        cache = bench.served._cache
        assert cache is not None
        await cache.aclose()
        second = await client.embeddings.create(model="embed", input=["bb", "a"], encoding_format="float")
    assert [one.embedding for one in second.data] == [one.embedding for one in reversed(first.data)]
    assert second.usage.total_tokens == first.usage.total_tokens == 3
    assert len(bench.model.calls) == 2


async def test_the_anthropic_client_has_messages_of_the_cache(tmp_path: Path, url: str) -> None:
    async def script(call: Call) -> None:
        content = [{"type": "text", "text": "hello"}]
        usage = {"input_tokens": 1, "output_tokens": 1}
        message = {"id": "1", "type": "message", "role": "assistant", "model": "chat", "content": content}
        await call.answer({**message, "stop_reason": "end_turn", "stop_sequence": None, "usage": usage})

    asked: Any = {"model": "chat", "messages": MESSAGES, "max_tokens": 9, "extra_body": {"temperature": 0}}
    async with (
        bench_of(tmp_path, url, script) as bench,
        anthropic.AsyncAnthropic(base_url=bench.url, api_key=KEYS["acme"]) as client,
    ):
        found = [await client.messages.create(**asked) for _ in range(2)]
        assert found[0] == found[1]
        assert len(bench.model.calls) == 1


async def test_images_are_cached_by_their_bytes_and_their_form(tmp_path: Path, url: str) -> None:
    async def script(call: Call) -> None:
        await call.answer({"text": call.body.decode(), "how": call.headers.get(b"accept", b"").decode()})

    async with bench_of(tmp_path, url, script) as bench:
        found = []
        for image, accept in ((b"one", "a/b"), (b"one", "a/b"), (b"two", "a/b"), (b"one", "c/d")):
            headers = {"authorization": f"Bearer {KEYS['acme']}", "content-type": "image/png", "accept": accept}
            found.append(await bench.http.post("/v1/ocr", content=image, headers=headers))
        assert [result(one)[1] for one in found] == ["miss", "hit", "miss", "miss"]
        assert found[1].content == found[0].content


async def test_tenants_stay_apart_in_either_store(bench: Bench) -> None:
    found = [result(await ask(bench, tenant=name)) for name in ("acme", "globex", "acme", "globex")]
    assert found == [(200, "miss"), (200, "miss"), (200, "hit"), (200, "hit")]
