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
logging.getLogger("switchyard.a").debug("ours")
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


def test_from_the_first_request_on_a_library_quotes_nothing() -> None:
    code = """
import logging
from switchyard.telemetry import logs
logs.configure("s")
library = logging.getLogger("library")
library.info("of the start: %s", "a file")
logs.begin_request(request="r1", traceparent="")
library.info("sent %s in %d", "a prompt", 3, extra={"body": "a prompt"})
"""
    before, after = lines_of(code)
    assert before["message"] == "of the start: a file"
    assert (after["message"], after["request_id"], "body" in after) == ("sent <str> in 3", "r1", False)


def test_an_exception_of_a_request_has_its_place_and_no_message() -> None:
    code = """
import logging
from switchyard.telemetry import logs
logs.configure("s")
logs.begin_request(request="r1", traceparent="")
try:
    raise ValueError("a prompt")
except ValueError:
    logging.getLogger("switchyard.a").exception("failed")
"""
    (line,) = lines_of(code)
    assert line["message"] == "failed"
    assert line["traceback"].endswith("\nValueError")
    assert "a prompt" not in str(line)


def test_what_is_no_text_is_a_line_too() -> None:
    code = """
import logging
from switchyard.telemetry import logs
logs.configure("s")
logging.getLogger("switchyard.a").info("\\udcff", extra={"large": 2**70})
"""
    (line,) = lines_of(code)
    assert (line["message"], line["large"]) == ("\udcff", 2**70)


@pytest.mark.parametrize(
    ("traceparent", "trace"),
    [
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "0af7651916cd43dd8448eb211c80319c"),
        ("00-my_secret_of_thirty_two_letters_-b7ad6b7169203331-01", ""),
        ("", ""),
    ],
)
def test_only_a_trace_id_is_one(traceparent: str, trace: str) -> None:
    assert logs.trace_of(traceparent) == trace
