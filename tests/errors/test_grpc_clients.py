"""The same table for V2 gRPC: unary and streamed, by state and by origin, as Triton's own client shows it."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import grpc
import pytest

from tests.errors.clients import Seen, infer, stream_infer
from tests.errors.rpc_origins import of_activator, of_engine, of_vision
from tests.errors.test_official_clients import models
from tests.switchyard.gateway.conftest import gateway

Ask = Callable[..., Awaitable[Seen | None]]
Code = grpc.StatusCode


class Case(NamedTuple):
    """What fails in which origin (none: the gateway itself), and what Triton's client must show."""

    name: str
    code: grpc.StatusCode
    sentence: str
    model: str = "vision-{phase}"
    origin: Callable[[], AbstractAsyncContextManager[str]] | None = None


CASES = (
    Case("unknown", Code.NOT_FOUND, "`nobody` does not exist", "nobody"),
    Case("no name", Code.INVALID_ARGUMENT, "names no model", ""),
    Case("failed", Code.UNAVAILABLE, "its weights are missing", "vision-failed"),
    Case("wrong kind", Code.UNIMPLEMENTED, "is of kind step; grpc Model", "step-ready"),
    Case("without gRPC", Code.UNIMPLEMENTED, "serves no gRPC"),
    Case("activator failed", Code.UNAVAILABLE, "chat: no engine; see", origin=partial(of_activator, "failed")),
    Case("activator full", Code.UNAVAILABLE, "try again", origin=partial(of_activator, "overloaded")),
    Case("Triton away", Code.UNAVAILABLE, "Triton does not respond", origin=partial(of_vision, "unreachable")),
    Case("vision full", Code.UNAVAILABLE, "try again", origin=partial(of_vision, "overloaded")),
    Case("engine", Code.INTERNAL, "out of memory", origin=partial(of_engine, Code.INTERNAL, "out of memory")),
)


@pytest.mark.parametrize("phase", ["ready", "waking"])
@pytest.mark.parametrize("ask", [infer, stream_infer])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_every_error_has_its_status_and_sentence(case: Case, ask: Ask, phase: str, tmp_path: Path) -> None:
    name = case.model.replace("{phase}", phase)
    async with gateway(tmp_path, retry_seconds=0.1) as bench:
        gateway_target = bench.url.removeprefix("http://")
        if case.origin is None:
            bench.catalog.replace(models(bench.url))
            seen = await ask(gateway_target, name)
        else:
            async with case.origin() as target:
                bench.catalog.replace(models(bench.url, target))
                seen = await ask(gateway_target, name)
    assert seen is not None
    assert seen.status == str(case.code)
    assert case.sentence in seen.text


@pytest.mark.parametrize("second", ["nobody", ""])
async def test_a_later_message_of_a_stream_that_names_no_model_ends_it_with_a_sentence(
    second: str, tmp_path: Path
) -> None:
    async with gateway(tmp_path) as bench, of_vision("") as target:
        bench.catalog.replace(models(bench.url, target))
        seen = await stream_infer(bench.url.removeprefix("http://"), "vision-ready", second)
    assert seen is not None
    assert seen.status == str(Code.NOT_FOUND)
    assert "model" in seen.text


async def test_an_error_of_one_message_of_a_stream_is_shown_though_the_stream_goes_on(tmp_path: Path) -> None:
    async with gateway(tmp_path) as bench, of_engine(None, "no such input") as target:
        bench.catalog.replace(models(bench.url, target))
        seen = await stream_infer(bench.url.removeprefix("http://"), "vision-ready")
    assert seen is not None
    assert seen.text == "no such input"
