"""What vLLM logs of requests that are wrong: a line, not a traceback with which one client fills the disk."""

import logging

_OF_REQUESTS = ("vllm.entrypoints.", "vllm.tool_parsers.", "vllm.renderers.")
_LONGEST_LINE = 300  # characters


class ClientFaults(logging.Filter):
    """Shortens what vLLM's handlers of requests log with an exception of these ``kinds``: they are 4xx there."""

    def __init__(self, *kinds: type[Exception]) -> None:
        super().__init__()
        self._kinds = kinds

    def filter(self, record: logging.LogRecord) -> bool:
        raised = record.exc_info[1] if record.exc_info else None
        if isinstance(raised, self._kinds) and record.name.startswith(_OF_REQUESTS):
            line = " ".join(record.getMessage().split())
            record.msg, record.args = line[:_LONGEST_LINE], ()
            record.levelno, record.levelname = logging.INFO, "INFO"
            record.exc_info = record.exc_text = None
        return True
