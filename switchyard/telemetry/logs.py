"""JSON logs on stderr, one object per line, with the ids of the request and its key; never prompts, payloads, keys."""

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path

import orjson

from switchyard.telemetry import unquoted
from switchyard.telemetry.trace_context import trace_id_of, valid_traceparent

request_id: ContextVar[str] = ContextVar("request_id", default="")
trace_id: ContextVar[str] = ContextVar("trace_id", default="")
tenant: ContextVar[str] = ContextVar("tenant", default="")
key_id: ContextVar[str] = ContextVar("key_id", default="")

_OF_THE_TASK = (request_id, trace_id, tenant, key_id)

QUOTES = "quotes_request"  # an attribute of records: a filter knows that this one may hold a client's words

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", QUOTES}

_OURS = ("switchyard", "predictors", "triton", "__main__")  # loggers whose calls were reviewed for what they quote


class _Requests:
    """Whether this process has begun to handle requests: from then on what libraries log may quote them."""

    begun = False


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON line; keys of ``extra=`` become top-level keys.

    From the first request on, what libraries say is written without what they quote, and an exception that passes
    through a request without its message: both may be the client's words.
    """

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        ours = record.name.partition(".")[0] in _OURS
        quotes = (_Requests.begun and not ours) or hasattr(record, QUOTES)
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "message": unquoted.message(record) if quotes else record.getMessage(),
        }
        line.update((variable.name, value) for variable in _OF_THE_TASK if (value := variable.get()))
        if not quotes:
            line.update((key, value) for key, value in vars(record).items() if key not in _STANDARD)
        if record.exc_info and record.exc_info[1]:
            hides = quotes or bool(request_id.get())
            line["traceback"] = (
                unquoted.traceback(record.exc_info[1]) if hides else self.formatException(record.exc_info)
            )
        try:
            return orjson.dumps(line, default=str).decode()
        except TypeError:  # a number of more than 64 bits, or bytes of a file that are no text
            return json.dumps(line, default=str)


def begin_request(*, request: str, traceparent: str, of_tenant: str = "", of_key: str = "") -> None:
    """Give the lines that this task and its children log from here on the ids of a request; empty for unknown ones."""
    _Requests.begun = True
    request_id.set(request)
    trace_id.set(trace_of(traceparent))
    tenant.set(of_tenant)
    key_id.set(of_key)


def trace_of(traceparent: str) -> str:
    """Return the trace id of a W3C ``traceparent``, empty if it is none: a client may have written anything there."""
    return trace_id_of(traceparent) if valid_traceparent(traceparent) else ""


def configure(service: str, level: str = "info", path: Path | None = None) -> None:
    """Send all logging of this process as JSON lines to stderr, or to the file at ``path``, that of libraries too.

    ``level`` is that of our loggers; libraries, which at debug log whole requests, keys among them, say info at least.

    Raises:
        ValueError: ``level`` is not one of debug, info, warning, error.
    """
    numeric = logging.getLevelNamesMapping().get(level.upper())
    if numeric is None:
        raise ValueError(f"LOG_LEVEL is {level!r}; use debug, info, warning or error")
    handler = logging.StreamHandler(sys.stderr) if path is None else logging.FileHandler(path)
    handler.setFormatter(JsonFormatter(service))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(numeric, logging.INFO))
    for name in _OURS:
        logging.getLogger(name).setLevel(numeric)
    logging.captureWarnings(True)
    for name in tuple(root.manager.loggerDict):  # libraries that installed their own handlers
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
