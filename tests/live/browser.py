"""A headless Chromium, driven by its DevTools protocol."""

import asyncio
import itertools
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

PROGRAMS = ("chromium-headless-shell", "chromium", "google-chrome")
# A container has neither the user namespaces nor the /dev/shm that Chromium asks for; the page is our own.
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-port=0")


class Page:
    """The page that the browser shows."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)

    async def command(self, method: str, **params: Any) -> Any:
        """The result of a command (https://chromedevtools.github.io/devtools-protocol/)."""
        number = next(self._numbers)
        await self._connection.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(await self._connection.recv())
            if message.get("id") == number:
                return message["result"]

    async def value(self, script: str) -> Any:
        """The value of an expression of JavaScript, awaited; one that throws fails the test."""
        found = await self.command("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def until(self, script: str, seconds: float = 30.0) -> None:
        """Returns when the expression is true; fails the test when it is not in time."""
        async with asyncio.timeout(seconds):
            while not await self.value(script):
                await asyncio.sleep(0.05)


@asynccontextmanager
async def chromium(folder: Path, url: str) -> AsyncIterator[Page]:
    """A browser that shows ``url``; it and its children are gone in the end."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    assert program is not None, f"none of {', '.join(PROGRAMS)} is on PATH: run make setup"
    log = (folder / "chromium.log").open("wb")
    process = await asyncio.create_subprocess_exec(
        program, *FLAGS, f"--user-data-dir={folder / 'profile'}", url, stderr=log, stdout=log, start_new_session=True
    )
    try:
        async with connect(await _debugger(process, folder), max_size=None) as connection:
            yield Page(connection)
    finally:
        log.close()
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def _debugger(process: asyncio.subprocess.Process, folder: Path) -> str:
    """The address at which the page is driven."""
    port_file = folder / "profile" / "DevToolsActivePort"
    async with asyncio.timeout(60), httpx.AsyncClient() as http:
        while True:
            assert process.returncode is None, (folder / "chromium.log").read_text()
            if port_file.exists() and (lines := port_file.read_text().splitlines()):
                targets = (await http.get(f"http://127.0.0.1:{lines[0]}/json")).json()
                if pages := [one for one in targets if one["type"] == "page"]:
                    return str(pages[0]["webSocketDebuggerUrl"])
            await asyncio.sleep(0.05)
