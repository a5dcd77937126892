"""What vLLM logs of requests: without what they hold, and of those that are wrong a line, not a traceback each."""

import logging

from switchyard.telemetry.logs import QUOTES

_OF_REQUESTS = ("vllm.entrypoints.", "vllm.tool_parsers.", "vllm.renderers.")
# In the engine's process, which no request reaches by HTTP: what it is given as text are grammars and their schemas.
_OF_GRAMMARS = ("vllm.v1.structured_output", "vllm.v1.core.sched.")
_ADDING = "Unexpected error pre-processing request"  # of the module that also says why an engine did not start


class ClientFaults(logging.Filter):
    """Shortens what vLLM's handlers of requests log with an exception of these ``kinds``: they are 4xx there.

    One such line with a traceback each, and a client fills the disk.
    """

    def __init__(self, *kinds: type[Exception]) -> None:
        super().__init__()
        self._kinds = kinds

    def filter(self, record: logging.LogRecord) -> bool:
        raised = record.exc_info[1] if record.exc_info else None
        if record.name.startswith((*_OF_REQUESTS, *_OF_GRAMMARS)) or str(record.msg).startswith(_ADDING):
            setattr(record, QUOTES, True)
        if isinstance(raised, self._kinds) and record.name.startswith(_OF_REQUESTS):
            record.levelno, record.levelname = logging.INFO, "INFO"
            record.exc_info = record.exc_text = None
        return True
