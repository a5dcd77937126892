"""A gRPC inference with an idempotency key is made once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from tritonclient.grpc import service_pb2

from tests.switchyard.gateway.quota.limited import ledger, tenants
from tests.switchyard.gateway.recordings.recorded import recordings
from tests.switchyard.gateway.tenants.access import KEYS
from tests.switchyard.gateway.test_v2 import GrpcBench, rpc_gateway

KEY = (("idempotency-key", "one"),)
ACME = (("authorization", f"Bearer {KEYS['acme']}"),)
GLOBEX = (("authorization", f"Bearer {KEYS['globex']}"),)


@pytest.fixture
async def rpc(tmp_path: Path) -> AsyncIterator[GrpcBench]:
    async with recordings(tmp_path) as store, rpc_gateway(tmp_path, recordings=store) as one:
        yield one


def request(identifier: str = "7") -> Any:
    return service_pb2.ModelInferRequest(model_name="ocr", id=identifier)


async def infer(rpc: GrpcBench, identifier: str = "7", metadata: Any = KEY) -> tuple[Any, dict[str, str]]:
    call = rpc.stub.ModelInfer(request(identifier), metadata=metadata, timeout=5)
    return await call, {str(name): str(value) for name, value in (await call.initial_metadata() or ())}


async def test_a_message_is_sent_again_as_it_was(rpc: GrpcBench) -> None:
    first, told = await infer(rpc)
    again, replayed = await infer(rpc)

    assert first == again
    assert "idempotency-replayed" not in told
    assert (replayed["idempotency-replayed"], replayed["age"]) == ("true", "0")
    assert len(rpc.model.metadata) == 1


async def test_calls_at_the_same_time_are_one(rpc: GrpcBench) -> None:
    found = await asyncio.gather(*(infer(rpc) for _ in range(4)))

    assert all(message == found[0][0] for message, _ in found)
    assert len(rpc.model.metadata) == 1


@pytest.mark.parametrize("size", [1, 10_000], ids=["short", "longer-than-is-peeked"])
async def test_another_message_with_the_key_is_rejected(rpc: GrpcBench, size: int) -> None:
    await infer(rpc, "x" * size + "1")
    with pytest.raises(grpc.aio.AioRpcError, match="another request") as failed:
        await infer(rpc, "x" * size + "2")

    assert failed.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_an_error_frees_its_key(rpc: GrpcBench) -> None:
    for _ in range(2):
        with pytest.raises(grpc.aio.AioRpcError, match="no memory"):
            await infer(rpc, "reject")


async def test_two_tenants_with_equal_keys_never_share(tmp_path: Path) -> None:
    url, both = f"sqlite://{tmp_path}/store.db", await tenants(tmp_path)
    async with (
        recordings(tmp_path) as store,
        ledger(url) as opened,
        rpc_gateway(tmp_path, recordings=store, tenants=both, ledger=opened) as rpc,
    ):
        for of_tenant in (ACME, GLOBEX, ACME, GLOBEX):
            await infer(rpc, metadata=KEY + of_tenant)
        rows = [len(await opened.rows(tenant, since=0, until=2**40)) for tenant in ("acme", "globex")]

    assert len(rpc.model.metadata) == 2
    assert rows == [1, 1]
