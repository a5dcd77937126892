"""Each message of a gRPC stream is a request: of a key that is still valid, and with room in its limits."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]
from tritonclient.grpc import service_pb2

from switchyard.gateway.tenants.file import TenantsFile
from switchyard.store.ledger import Ledger
from tests.switchyard.gateway.quota.limited import METADATA, ledger, tenants
from tests.switchyard.gateway.test_v2 import GrpcBench, rpc_gateway

PER_DAY: Literal[86400] = 86400


@asynccontextmanager
async def streaming(folder: Path, url: str, *limits: dict[str, Any]) -> AsyncIterator[tuple[GrpcBench, Ledger]]:
    async with (
        ledger(url) as opened,
        rpc_gateway(folder, tenants=await tenants(folder, *limits), ledger=opened) as rpc,
    ):
        yield rpc, opened


def message(identifier: str = "", model: str = "chat") -> Any:
    return service_pb2.ModelInferRequest(model_name=model, id=identifier)


async def responses(call: Any) -> tuple[list[str], grpc.aio.AioRpcError | None]:
    """The ids that came, and the error that ended the stream."""
    found: list[str] = []
    try:
        async for one in call:
            found.append(one.infer_response.id)  # noqa: PERF401  # those before an error are wanted too
    except grpc.aio.AioRpcError as err:
        return found, err
    return found, None


async def requests_on_the_bill(ledger: Ledger) -> int:
    return sum(total.amounts[0] for total in await ledger.totals("acme", since=0, until=2**40, width=PER_DAY))


async def test_as_many_messages_pass_as_the_limit_has_requests(tmp_path: Path, url: str) -> None:
    async with streaming(tmp_path, url, {"limit": "requests", "most": 3, "per": "minute"}) as (rpc, opened):
        sent = [message(str(number)) for number in range(5)]
        call = rpc.stub.ModelStreamInfer(iter(sent), timeout=10, metadata=METADATA)
        found, error = await responses(call)
        assert found == ["0", "1", "2"]
        assert error is not None
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "tenant acme may have 3 requests per minute" in str(error.details())
        trailers = dict(error.trailing_metadata())
        (detail,) = status_pb2.Status.FromString(trailers["grpc-status-details-bin"]).details
        retry = error_details_pb2.RetryInfo()
        assert detail.Unpack(retry)
        assert retry.retry_delay.seconds > 0
        assert await requests_on_the_bill(opened) == 3
        with pytest.raises(grpc.aio.AioRpcError, match="3 requests per minute, and 3 are taken"):
            await rpc.stub.ModelInfer(message(), timeout=10, metadata=METADATA)


async def test_messages_take_tokens_as_calls_do_and_settle_on_what_all_used(tmp_path: Path, url: str) -> None:
    limits = {"limit": "output_tokens", "most": 1000, "per": "day"}
    async with streaming(tmp_path, url, limits) as (rpc, _):
        rpc.model.trailing = (("x-switchyard-usage", '{"completion_tokens": 7}'),)
        call = rpc.stub.ModelStreamInfer(
            iter([message("1"), message("2"), message("3")]), timeout=10, metadata=METADATA
        )
        found, error = await responses(call)
        assert found == ["1", "2"]
        assert error is not None
        assert "output per day, and 1000 are taken" in str(error.details())
        # Now it is known what all of them took.
        found, error = await responses(
            rpc.stub.ModelStreamInfer(iter([message(str(n)) for n in range(40)]), timeout=10, metadata=METADATA)
        )
        assert (len(found), error) == (40, None)


async def test_what_runs_is_not_cut_by_a_message_that_does_not_fit(tmp_path: Path, url: str) -> None:
    async with streaming(tmp_path, url, {"limit": "requests", "most": 1, "per": "minute"}) as (rpc, _):
        call = rpc.stub.ModelStreamInfer(timeout=10, metadata=METADATA)
        await call.write(message("wait"))
        await call.write(message("second"))
        await rpc.model.arrived.wait()
        rpc.model.go_on.set()
        found, error = await responses(call)
        assert found == ["wait"]
        assert error is not None
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_stream_of_a_key_that_is_revoked_ends_with_its_next_message(tmp_path: Path, url: str) -> None:
    file: TenantsFile = await tenants(tmp_path)
    async with ledger(url) as opened, rpc_gateway(tmp_path, tenants=file, ledger=opened) as rpc:
        call = rpc.stub.ModelStreamInfer(timeout=10, metadata=METADATA)
        for number in range(2):
            await call.write(message(str(number)))
            assert (await call.read()).infer_response.id == str(number)
        await tenants(tmp_path, revoked=True)
        await file.load()
        await call.write(message("late"))
        with pytest.raises(grpc.aio.AioRpcError, match="acme-key was revoked") as failed:
            await call.read()
        assert failed.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert await requests_on_the_bill(opened) == 2


async def test_messages_pass_whole_whatever_their_size(tmp_path: Path, url: str) -> None:
    async with streaming(tmp_path, url, {"limit": "requests", "most": 100, "per": "minute"}) as (rpc, opened):
        sent = [message(str(number) * size) for number, size in enumerate((300_000, 1, 5000, 200_000, 1, 1))]
        found, error = await responses(rpc.stub.ModelStreamInfer(iter(sent), timeout=20, metadata=METADATA))
        assert error is None
        assert found == [one.id for one in sent]
        assert await requests_on_the_bill(opened) == len(sent)
