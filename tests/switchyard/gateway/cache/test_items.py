"""Of many embeddings the model is asked for those alone that nobody of the scope has asked for."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.switchyard.gateway.cache.cached import ask, result, tenants
from tests.switchyard.gateway.cache.test_charges import charged, limits, rows
from tests.switchyard.gateway.conftest import Bench, Call
from tests.switchyard.gateway.recordings.recorded import gateways, recordings

PATH = "/v1/embeddings"


async def embed(call: Call) -> None:
    """A vector of a text's length, and a token for each of its letters."""
    payload = json.loads(call.body)
    given = payload["input"] if isinstance(payload["input"], list) else [payload["input"]]
    data = [{"index": at, "object": "embedding", "embedding": [len(text) / 3, 1e-9]} for at, text in enumerate(given)]
    tokens = sum(map(len, given))
    usage = {"prompt_tokens": tokens, "total_tokens": tokens, "completion_tokens": 0}
    await call.answer({"id": "e", "object": "list", "created": 1, "model": "embed", "data": data, "usage": usage})


async def vectors(bench: Bench, *texts: str, tenant: str = "acme", **fields: Any) -> tuple[Any, str, str]:
    """The response to a request for these texts, what the cache did, and how many were there, once they are kept."""
    control = fields.pop("cache_control", "")
    headers = {"cache_control": control} if control else {}
    payload = {"model": "embed", "input": list(texts), **fields}
    response = await ask(bench, payload, tenant=tenant, path=PATH, **headers)
    assert response.status_code == 200
    cache = bench.served._cache
    assert cache is not None
    await cache.aclose()
    return response.json(), response.headers["x-switchyard-cache"], response.headers["x-switchyard-cache-items"]


def asked(bench: Bench) -> list[Any]:
    return [payload["input"] for payload in bench.model.bodies]


async def test_the_model_is_asked_for_what_is_missing_alone(tmp_path: Path) -> None:
    async with gateways(tmp_path, embed, tenants=await tenants(tmp_path)) as (bench,):
        first = await vectors(bench, "a", "bb", "ccc")
        second = await vectors(bench, "ccc", "dddd", "a", "dddd")
        third = await vectors(bench, "dddd", "bb")
        single = await vectors(bench, "bb")
        assert asked(bench) == [["a", "bb", "ccc"], ["dddd"]]
    assert [one[1:] for one in (first, second, third, single)] == [
        ("miss", "0/3"),
        ("miss", "2/4"),
        ("hit", "2/2"),
        ("hit", "1/1"),
    ]
    said = second[0]
    assert [one["embedding"] for one in said["data"]] == [[length / 3, 1e-9] for length in (3, 4, 1, 4)]
    assert [one["index"] for one in said["data"]] == [0, 1, 2, 3]
    assert said["usage"]["prompt_tokens"] == 3 + 4 + 1 + 4
    assert (said["object"], said["model"]) == ("list", "embed")


async def test_of_five_hundred_with_ten_unknown_texts_ten_are_asked_for(tmp_path: Path) -> None:
    texts = [f"text {number} " + "x" * 200 for number in range(500)]  # more than a small body has
    async with gateways(tmp_path, embed, tenants=await tenants(tmp_path)) as (bench,):
        await vectors(bench, *texts[:490])
        said, how, items = await vectors(bench, *texts)
        assert (how, items) == ("miss", "490/500")
        assert asked(bench)[1] == texts[490:]
        assert [one["embedding"][0] for one in said["data"]] == [len(text) / 3 for text in texts]


async def test_two_tenants_with_equal_texts_never_share(tmp_path: Path) -> None:
    async with gateways(tmp_path, embed, tenants=await tenants(tmp_path)) as (bench,):
        assert (await vectors(bench, "a"))[1] == "miss"
        assert (await vectors(bench, "a", tenant="globex"))[1] == "miss"
        assert len(bench.model.calls) == 2


async def test_what_else_is_asked_for_is_part_of_the_key(tmp_path: Path) -> None:
    async with gateways(tmp_path, embed, tenants=await tenants(tmp_path)) as (bench,):
        assert (await vectors(bench, "a"))[1] == "miss"
        assert (await vectors(bench, "a", user="ann"))[1] == "hit"
        assert (await vectors(bench, "a", dimensions=1))[1] == "miss"
        bench.put("embed", revision="r2")
        response = await ask(bench, {"model": "embed", "input": "a"}, path=PATH)
        assert result(response) == (200, "bypass")


async def test_no_cache_asks_anew_and_keeps_that(tmp_path: Path) -> None:
    async with gateways(tmp_path, embed, tenants=await tenants(tmp_path)) as (bench,):
        await vectors(bench, "a")
        assert (await vectors(bench, "a", cache_control="no-cache"))[1] == "miss"
        assert (await vectors(bench, "a"))[1] == "hit"
        missing = await ask(bench, {"model": "embed", "input": ["a", "b"]}, path=PATH, cache_control="only-if-cached")
        assert missing.status_code == 504
        assert (await vectors(bench, "a", cache_control="only-if-cached"))[1] == "hit"


@pytest.mark.parametrize(("hits", "second"), [("requests", (3, 0, 3)), ("tokens", (5, 0, 5))])
async def test_what_was_there_is_charged_as_the_tenants_cache_says(
    hits: str, second: tuple[int, int, int], tmp_path: Path
) -> None:
    acme = {"cache": {"hits": hits}, "limits": limits(tokens=1000)}
    async with gateways(tmp_path, embed, tenants=await tenants(tmp_path, acme)) as (bench,):
        await vectors(bench, "bb")
        await vectors(bench, "bb", "ccc")
        await vectors(bench, "bb", "ccc")
        found = [charged(row) for row in sorted(await rows(bench), key=lambda row: row["time"])]
    assert found == [(2, 0, 2), second, (5, 0, 5) if hits == "tokens" else (0, 0, 0)]


async def test_another_response_than_openais_passes_as_it_is(tmp_path: Path) -> None:
    async def broken(call: Call) -> None:
        await call.answer(
            {"data": "none"} if b'"a"' in call.body else {"error": {"message": "no"}},
            status=200 if b'"a"' in call.body else 400,
        )

    async with gateways(tmp_path, broken, tenants=await tenants(tmp_path)) as (bench,):
        for _ in range(2):
            assert (await vectors(bench, "a"))[0] == {"data": "none"}
        response = await ask(bench, {"model": "embed", "input": ["b"]}, path=PATH)
        assert (response.status_code, response.json()["error"]["message"]) == (400, "no")
        assert len(bench.model.calls) == 3


async def test_chats_as_input_are_cached_whole(tmp_path: Path) -> None:
    async def script(call: Call) -> None:
        await call.answer({"data": [], "usage": {"prompt_tokens": 1}})

    payload = {"model": "embed", "messages": [{"role": "user", "content": "a"}]}
    async with gateways(tmp_path, script, tenants=await tenants(tmp_path)) as (bench,):
        assert [result(await ask(bench, payload, path=PATH)) for _ in range(2)] == [(200, "miss"), (200, "hit")]


async def test_embeddings_are_a_kind_of_their_own_in_the_store(tmp_path: Path) -> None:
    async with (
        gateways(tmp_path, embed, tenants=await tenants(tmp_path)) as (bench,),
        recordings(tmp_path) as store,
    ):
        await asyncio.gather(vectors(bench, "a", "b"), vectors(bench, "b", "c"))
        assert (await store.held("tenant:acme"))["item"].recordings == 3
