"""The page of docs/how-to/use-websockets.md, in Chromium, asks a gateway of another origin."""

import asyncio
import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.docs.pages import DOCS
from tests.live.browser import Page, chromium
from tests.switchyard.gateway.conftest import Call, gateway
from tests.switchyard.gateway.tenants.access import KEYS, tenants

pytestmark = pytest.mark.live

SAID = "document.getElementById('said').textContent"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of each request."""


@pytest.fixture
def pages() -> Iterator[str]:
    """The origin that serves docs/how-to."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(DOCS / "how-to")))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


async def say(call: Call) -> None:
    """Say hello, or wait for the end of one who asks for that."""
    await call.start(content_type=b"text/event-stream")
    await call.chunk(b'data: {"choices": [{"delta": {"content": "hello "}}]}\n\n')
    if b"wait" in call.body:
        await call.disconnected()
    await call.end('data: {"choices": [{"delta": {"content": "wörld"}}]}\n\ndata: [DONE]\n\n'.encode())


async def ask(page: Page, text: str) -> None:
    await page.value(f"document.getElementById('text').value = {text!r}; document.querySelector('button').click()")


async def test_the_page_asks_stops_and_asks_again_with_its_key_as_a_subprotocol(tmp_path: Path, pages: str) -> None:
    file = await tenants(tmp_path)
    async with gateway(tmp_path, say, tenants=file, cors_allow_origins=(pages,)) as bench:
        url = f"{pages}/websocket-page.html?gateway={bench.url.replace('http', 'ws')}&model=chat"
        async with chromium(tmp_path, url) as page:
            await page.until("!!document.getElementById('ask')?.onsubmit")
            await page.value(f"document.getElementById('key').value = {KEYS['globex']!r}")
            await ask(page, "hi")
            await page.until(f"{SAID} === 'hello wörld\\n[done]\\n'")
            await ask(page, "wait")
            await page.until(f"{SAID}.endsWith('hello ')")
            await page.value("document.getElementById('stop').click()")
            await page.until(f"{SAID}.endsWith('[stopped]\\n')")
            draining = asyncio.create_task(bench.server.drain())
            await page.until(f"{SAID}.endsWith('[closed 1001 the server is shutting down]\\n')")
            await draining
    assert {call.headers[b"x-switchyard-tenant"] for call in bench.model.calls} == {b"globex"}


async def test_a_page_whose_origin_is_not_named_opens_no_socket(tmp_path: Path, pages: str) -> None:
    async with gateway(tmp_path, say) as bench:
        url = f"{pages}/websocket-page.html?gateway={bench.url.replace('http', 'ws')}"
        async with chromium(tmp_path, url) as page:
            await page.until("!!document.getElementById('ask')?.onsubmit")
            await ask(page, "hi")
            await page.until(f"{SAID}.includes('[closed 1006')")
    assert not bench.model.calls
