"""docs/reference/websocket.md and the code say the same."""

import asyncio
import re
import sys
from pathlib import Path

from switchyard.gateway.websocket.messages import PATHS
from switchyard.gateway.websocket.sockets import SocketLimits
from switchyard.http.server import ServerLimits
from switchyard.http.server.websocket import codes
from tests.docs.following import blocks
from tests.docs.pages import DOCS
from tests.switchyard.gateway.conftest import gateway

PAGE = (DOCS / "reference/websocket.md").read_text()


def test_every_close_code_that_is_sent_is_explained() -> None:
    explained = {int(code) for code in re.findall(r"^\| (\d{4}) \| the", PAGE, re.MULTILINE)}
    assert explained == set(codes.SENT)


def test_figures_are_those_of_the_code() -> None:
    limits, port, words = SocketLimits(), ServerLimits(), " ".join(PAGE.split())
    assert f"| WebSockets of a gateway | {limits.sockets} |" in PAGE
    assert f"| requests in progress on one | {limits.requests} |" in PAGE
    assert f"| seconds until the key comes | {limits.key_seconds:g} |" in PAGE
    assert f'`{{"key": "sy-…"}}`, within {limits.key_seconds:g} s' in PAGE
    assert port.ping_seconds is not None
    assert port.quiet_seconds is not None
    assert f"silent for {2 * port.ping_seconds:g} s" in words
    assert f"no request in progress for {port.quiet_seconds:g} s" in words
    assert f"for {port.stall_seconds:g} s, or outlasted" in words
    assert f"`type` is {', '.join(f'`{name}`' for name in list(PATHS)[:-1])} or `{list(PATHS)[-1]}`" in words


async def test_the_program_of_the_guide_prints_what_it_says(tmp_path: Path) -> None:
    (program,) = [block.text for block in blocks(DOCS / "how-to/use-websockets.md") if block.language == "python"]
    async with gateway(tmp_path) as bench:
        here = program.replace("ws://127.0.0.1:8000", bench.url.replace("http", "ws")).replace("chat-fast", "chat")
        run = await asyncio.create_subprocess_exec(
            sys.executable, "-c", here, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        async with asyncio.timeout(60):
            printed, _ = await run.communicate()
    assert run.returncode == 0, printed.decode()
    assert printed.count(b"'done': True") == 3
    assert printed.count(b"'chunk': ") == 6
