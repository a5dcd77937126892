"""What a process would write to its log."""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from switchyard.telemetry.logs import JsonFormatter


@contextmanager
def json_log(caplog: pytest.LogCaptureFixture, service: str) -> Iterator[io.StringIO]:
    """Collect the lines of ``service``, from level info on, until the block is left."""
    caplog.set_level(logging.INFO)
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(JsonFormatter(service))
    logging.getLogger().addHandler(handler)
    try:
        yield text
    finally:
        logging.getLogger().removeHandler(handler)
