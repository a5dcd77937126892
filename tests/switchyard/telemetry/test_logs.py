"""Logging of a process of its own, because it belongs to the whole process."""

import json
import subprocess
import sys
from typing import Any

import pytest

from switchyard.telemetry import logs


def lines_of(code: str) -> list[dict[str, Any]]:
    """What ``code`` writes to stderr, each line read as JSON."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_a_record_is_one_line_with_its_ids_and_extra_fields() -> None:
    code = """
import logging
from switchyard.telemetry import logs
logs.configure("s", "info")
logs.request_id.set("r1")
logs.trace_id.set("t1")
logging.getLogger("a").info("two\\nlines", extra={"phase": "load"})
logging.getLogger("a").debug("silent")
"""
    (line,) = lines_of(code)
    assert line["message"] == "two\nlines"
    shown = (line["service"], line["level"], line["request_id"], line["trace_id"], line["phase"])
    assert shown == ("s", "info", "r1", "t1", "load")


def test_headers_that_a_library_decodes_are_in_no_log_whatever_the_level() -> None:
    code = """
import hpack
import logging
from switchyard.telemetry import logs
logs.configure("s", "debug")
logging.getLogger("a").debug("ours")
hpack.Decoder().decode(hpack.Encoder().encode([("authorization", "Bearer secret")]))
"""
    (line,) = lines_of(code)
    assert line["message"] == "ours"


def test_a_traceback_stays_in_its_line() -> None:
    code = """
import logging
from switchyard.telemetry import logs
logs.configure("s")
try:
    raise ValueError("why")
except ValueError:
    logging.exception("failed")
"""
    (line,) = lines_of(code)
    assert "ValueError: why" in line["traceback"]


def test_warnings_and_libraries_with_handlers_of_their_own_write_json_too() -> None:
    code = """
import logging, sys, warnings
library = logging.getLogger("library")
library.addHandler(logging.StreamHandler(sys.stderr))
library.propagate = False
from switchyard.telemetry import logs
logs.configure("s")
library.warning("from the library")
warnings.warn("from Python")
"""
    library, python = lines_of(code)
    assert library["logger"] == "library"
    assert "from Python" in python["message"]


def test_an_unknown_level_is_rejected_with_the_allowed_ones() -> None:
    with pytest.raises(ValueError, match="LOG_LEVEL is 'loud'; use debug, info, warning or error"):
        logs.configure("s", "loud")
