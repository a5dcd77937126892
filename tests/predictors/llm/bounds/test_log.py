"""What vLLM logs of a client's fault, through the formatter of the service's log."""

import io
import json
import logging
from typing import Any

import pytest

from predictors.llm.bounds.log import ClientFaults
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


@pytest.mark.parametrize("name", ["vllm.entrypoints.anthropic.api_router", "vllm.tool_parsers.hermes_tool_parser"])
def test_a_clients_fault_is_one_short_line(name: str) -> None:
    line = logged(name, ValueError("stop cannot\nbe " + "long " * 10_000))
    assert (line["level"], "traceback" in line) == ("info", False)
    assert line["message"].startswith("Error in create_messages: stop cannot be long")
    assert len(line["message"]) <= 300


@pytest.mark.parametrize(
    ("name", "raised"),
    [("vllm.entrypoints.anthropic.api_router", RuntimeError("x")), ("vllm.v1.engine.core", ValueError("x"))],
)
def test_a_fault_of_the_engine_keeps_its_traceback(name: str, raised: Exception) -> None:
    line = logged(name, raised)
    assert (line["level"], "Traceback" in line["traceback"]) == ("error", True)
