"""JSON logs on stderr, one object per line, with the ids of the request and its key; never prompts, payloads, keys."""

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime

request_id: ContextVar[str] = ContextVar("request_id", default="")
trace_id: ContextVar[str] = ContextVar("trace_id", default="")
tenant: ContextVar[str] = ContextVar("tenant", default="")
key_id: ContextVar[str] = ContextVar("key_id", default="")

_OF_THE_TASK = (request_id, trace_id, tenant, key_id)

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

_TELLS_HEADERS = ("hpack",)  # libraries that log every header at debug, keys among them


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON line; keys of ``extra=`` become top-level keys."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update((variable.name, value) for variable in _OF_THE_TASK if (value := variable.get()))
        line.update((key, value) for key, value in vars(record).items() if key not in _STANDARD)
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def configure(service: str, level: str = "info") -> None:
    """Send all logging of this process to stderr as JSON lines, including warnings and libraries imported so far.

    Raises:
        ValueError: ``level`` is not one of debug, info, warning, error.
    """
    numeric = logging.getLevelNamesMapping().get(level.upper())
    if numeric is None:
        raise ValueError(f"LOG_LEVEL is {level!r}; use debug, info, warning or error")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(service))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(numeric)
    logging.captureWarnings(True)
    for name in tuple(root.manager.loggerDict):  # libraries that installed their own handlers
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
    for name in _TELLS_HEADERS:
        logging.getLogger(name).setLevel(max(numeric, logging.INFO))
