"""The page of a process's metrics, in the format that who asks prefers."""

import asyncio
import re

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.exposition import ALLOWUTF8, generate_latest

_OPENMETRICS = "application/openmetrics-text"
_PLAIN = f"{_OPENMETRICS}; version=1.0.0; charset=utf-8"
_END = b"# EOF\n"
_DESCRIBED = re.compile(rb"# (HELP|TYPE) (\S+) (.*)")


def exposition(registry: CollectorRegistry, accept: bytes | None, others: bytes = b"") -> tuple[bytes, bytes]:
    """Return the page and its content type, by an ``accept`` header: OpenMetrics, which alone has exemplars, or text.

    ``others`` is another program's page in Prometheus' text format, which follows.
    """
    encode, content_type = choose_encoder((accept or b"").decode("latin-1"))
    if content_type.startswith(_OPENMETRICS):
        # Its escaping, meant for names beyond the old rules, makes vLLM's `vllm:` a `vllm_`. No name here needs it.
        page, content_type = generate_latest(registry, escaping=ALLOWUTF8), _PLAIN  # type: ignore[no-untyped-call]
    else:
        page = encode(registry)
    if others and content_type.startswith(_OPENMETRICS):
        page = page.removesuffix(_END) + b"".join(map(_converted, others.splitlines())) + _END
    else:
        page += others
    return page, content_type.encode()


async def metrics_page_in_thread(
    registry: CollectorRegistry, accept: bytes | None, others: bytes = b""
) -> tuple[bytes, bytes]:
    """Return the same as ``exposition``, written in a thread: with thousands of models it takes a second."""
    return await asyncio.to_thread(exposition, registry, accept, others)


def _converted(line: bytes) -> bytes:
    """Return a line of the text format as OpenMetrics has it.

    There a counter's samples end in ``_total``, and Triton's do not. They have no known type, and keep their names: one
    that changed with the format would not be the one that dashboards ask for.
    """
    if not line or not line.startswith(b"#"):
        return line + b"\n" if line else b""
    described = _DESCRIBED.fullmatch(line)
    if described is None:  # a comment, of which OpenMetrics has none
        return b""
    what, name, text = described.groups()
    if what == b"TYPE" and text in (b"counter", b"untyped"):
        text = b"unknown"
    return b"# %s %s %s\n" % (what, name, text)
