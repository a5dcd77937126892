"""h2spec against our server: what it asks of the frames, states, windows, fields and requests of RFC 7540 and 7541."""

import asyncio
import re
from functools import partial

import pytest

from benchmarks import go
from switchyard.http.h2 import server
from switchyard.http.h2.connection import own_settings
from switchyard.http.h2.fields import BlockDecoder
from switchyard.http.server import Exchange, Server, ServerLimits

HOST = "127.0.0.1"
DEADLINE = 120
# docs/concepts/protocols.md has the reasons.
LEFT_OUT = {
    "3.5. HTTP/2 Connection Preface": {2},
    "4.2. Frame Size": {3},
    "5.3.1. Stream Dependencies": {1, 2},
}


async def _answer(exchange: Exchange) -> None:
    await exchange.body(2**20)
    exchange.respond(200, [(b"content-type", b"text/plain")], b"a response with some bytes\n")


def failures(report: str) -> dict[str, set[int]]:
    """The numbers of the cases that failed, by section."""
    found: dict[str, set[int]] = {}
    section = ""
    for line in report.partition("Failures:")[2].splitlines():
        if heading := re.fullmatch(r"\s+(\d+\.\d[\d.]* .*)", line):
            section = heading[1]
        elif case := re.match(r"\s+× (\d+): ", line):
            found.setdefault(section, set()).add(int(case[1]))
    return found


async def test_it_does_what_h2spec_asks_but_for_what_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    # h2spec compresses with a table although it was told to keep none, so here it may.
    monkeypatch.setattr(server, "own_settings", partial(own_settings, HEADER_TABLE_SIZE=4096))
    monkeypatch.setattr(BlockDecoder, "acknowledged", lambda self: None)
    program = await asyncio.to_thread(go.h2spec)
    listening = Server(_answer, ServerLimits(streams=100))  # h2spec opens all of them, and waits no more than a second
    port = str(await listening.listen(HOST, 0))
    try:
        told = (str(program), "--host", HOST, "--port", port, "--timeout", "1", "--strict")
        asking = await asyncio.create_subprocess_exec(*told, stdout=asyncio.subprocess.PIPE)
        report = (await asyncio.wait_for(asking.communicate(), DEADLINE))[0].decode()
    finally:
        await listening.aclose()
    summary = re.search(r"(\d+) tests, (\d+) passed, (\d+) skipped", report)
    assert summary is not None, report
    assert (int(summary[1]), int(summary[3])) == (146, 0)
    wrong = {section: cases - LEFT_OUT.get(section, set()) for section, cases in failures(report).items()}
    assert not any(wrong.values()), report.partition("Failures:")[2]
