"""What vLLM logs of a client's fault, through the formatter of the service's log."""

import io
import json
import logging
from typing import Any

import pytest

from predictors.llm.bounds.log import ClientFaults
from switchyard.telemetry import logs
from switchyard.telemetry.logs import JsonFormatter


def logged(name: str, raised: Exception, message: str = "Error in create_messages: %s") -> dict[str, Any]:
    """The line that a logger of this name writes."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter("m"))
    handler.addFilter(ClientFaults(ValueError, TypeError))
    logger = logging.Logger(name)
    logger.addHandler(handler)
    try:
        raise raised
    except Exception as err:
        logger.exception(message, err)
    (line,) = stream.getvalue().splitlines()
    return dict(json.loads(line))


SECRET = "secret-of-a-client"


@pytest.mark.parametrize("name", ["vllm.entrypoints.anthropic.api_router", "vllm.tool_parsers.hermes_tool_parser"])
def test_a_clients_fault_is_one_line_without_what_it_quotes(name: str) -> None:
    line = logged(name, ValueError(SECRET * 10_000))
    assert (line["level"], "traceback" in line) == ("info", False)
    assert line["message"] == "Error in create_messages: <ValueError>"


@pytest.mark.parametrize(
    ("name", "raised", "message"),
    [
        ("vllm.entrypoints.anthropic.api_router", RuntimeError(SECRET), "Error: %s"),
        ("vllm.v1.structured_output", ValueError(SECRET), "Failed to compile grammar for request: %s"),
        ("vllm.v1.engine.core", ValueError(SECRET), "Unexpected error pre-processing request %s"),
    ],
)
def test_a_fault_of_the_engine_in_a_request_has_its_place_without_what_it_quotes(
    name: str, raised: Exception, message: str
) -> None:
    line = logged(name, raised, message)
    assert line["level"] == "error"
    assert line["traceback"].endswith(f"\n{type(raised).__name__}")
    assert SECRET not in str(line)


def test_why_an_engine_ends_is_written_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs._Requests, "begun", False)  # as in the engine's process, whatever other tests did in this
    line = logged("vllm.v1.engine.core", ValueError("no memory"), "EngineCore failed to start: %s")
    assert "ValueError: no memory" in line["traceback"]
