"""``python -m benchmarks.models.disconnect``: how soon a client that leaves frees its slot in the engine.

The engine has one slot. A long answer holds it while a second request waits behind it; the first client leaves, and the
second's answer tells when the slot was free. What that answer takes by itself is subtracted.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.models.predictor import MODEL, start_ours
from benchmarks.report import Figure, publish

CHAT: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "Hello!"}], "temperature": 0}
LONG = 800  # tokens: seconds of work
INFER: dict[str, Any] = {
    "inputs": [{"name": "text_input", "datatype": "BYTES", "shape": [1], "data": ["Hello!"]}],
    "parameters": {"max_tokens": LONG, "min_tokens": LONG},
}
HELD_SECONDS = 0.3  # the second request has waited this long when the first client leaves

Sent = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def send(url: str, body: Mapping[str, Any]) -> Sent:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    content = json.dumps(body).encode()
    head = f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n"
    writer.write(head.encode() + b"content-length: %d\r\nconnection: close\r\n\r\n" % len(content) + content)
    return reader, writer


async def short_answer(url: str) -> float:
    """Asks for one token and returns when its answer was complete."""
    reader, writer = await send(url, {**CHAT, "max_tokens": 1})
    answer = await reader.read()
    ended = time.perf_counter()
    writer.close()
    if b" 200 " not in answer.partition(b"\r\n")[0]:
        raise RuntimeError(f"{url} answered {answer[:500]!r}")
    return ended


async def freed_ms(chat: str, url: str, body: Mapping[str, Any]) -> float:
    """From the hang-up of a client of ``url`` until the slot was another's, in milliseconds.

    Raises:
        RuntimeError: the second request was answered while the first held the only slot.
    """
    alone = []
    for _ in range(3):
        began = time.perf_counter()
        alone.append(await short_answer(chat) - began)
    _, holder = await send(url, body)
    await asyncio.sleep(HELD_SECONDS)
    waiting = asyncio.ensure_future(short_answer(chat))
    await asyncio.wait({waiting}, timeout=HELD_SECONDS)
    if waiting.done():
        raise RuntimeError("the second request did not wait, so nothing was measured")
    left = time.perf_counter()
    holder.transport.abort()
    return (await waiting - left - statistics.median(alone)) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    long = {**CHAT, "max_tokens": LONG, "ignore_eos": True}
    with tempfile.TemporaryDirectory() as folder:
        ours, chat = start_ours(Path(folder), "--max-num-seqs=1")
        infer = chat.partition("/openai/")[0] + f"/v2/models/{MODEL}/infer"
        ways: dict[str, tuple[str, Mapping[str, Any]]] = {
            "stream": (chat, {**long, "stream": True}),
            "plain chat": (chat, long),
            "V2": (infer, INFER),
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        try:
            for _ in range(rounds):
                for name, (url, body) in ways.items():
                    times[name].append(asyncio.run(freed_ms(chat, url, body)))
        finally:
            ours.stop()
    figures = [
        Figure(name=f"hang-up to free slot, {name}", unit="ms", values=tuple(values), target="<= 100")
        for name, values in times.items()
    ]
    publish("models.disconnect", figures, {"model": MODEL, "tokens": LONG, "rounds": rounds})


if __name__ == "__main__":
    main()
