"""Sends a file to a gateway, and fetches one, in pieces: neither is held in memory."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from switchyard.cli.gateway import KEY_VARIABLE, GatewayError, gateway_url
from switchyard.http.client import Client, Timeouts
from switchyard.http.client.errors import UpstreamError
from switchyard.http.client.upload import Upload

_CHUNK_BYTES = 256 * 1024
_TIMEOUTS = Timeouts(total=3600.0)  # of hundreds of megabytes over a slow line


def send(url: str, path: Path) -> str:
    """Send a file of requests; return its id.

    Raises:
        GatewayError: the gateway does not take it.
        OSError: it cannot be read.
    """
    return asyncio.run(_send(gateway_url(url), path))


def fetch(url: str, file_id: str, to: BinaryIO) -> None:
    """Write a file of the gateway's to ``to``.

    Raises:
        GatewayError: it does not come, or not whole.
    """
    asyncio.run(_fetch(gateway_url(url), file_id, to))


async def _send(url: str, path: Path) -> str:
    boundary = secrets.token_hex(16)
    head = (
        f'--{boundary}\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--{boundary}\r\n'
        f'content-disposition: form-data; name="file"; filename="{_quoted(path.name)}"\r\n'
        "content-type: application/jsonl\r\n\r\n"
    ).encode()
    tail = f"\r\n--{boundary}--\r\n".encode()
    with path.open("rb") as file:

        async def form() -> AsyncIterator[bytes]:
            yield head
            while data := await asyncio.to_thread(file.read, _CHUNK_BYTES):
                yield data
            yield tail

        length = len(head) + os.fstat(file.fileno()).st_size + len(tail)
        kind = f"multipart/form-data; boundary={boundary}".encode()
        client, sent = Client(), Upload(length, form())
        try:
            headers = [(b"content-type", kind), *_key()]
            response = await client.request(b"POST", url + "/v1/files", headers, sent, timeouts=_TIMEOUTS)
            content = await response.read()
        except UpstreamError as err:
            raise GatewayError(f"{url}/v1/files: {err}") from err
        finally:
            await client.aclose()
    if response.status != 200:
        raise _error(content, f"{url}/v1/files: status {response.status}")
    file_id: str = orjson.loads(content)["id"]
    return file_id


async def _fetch(url: str, file_id: str, to: BinaryIO) -> None:
    client, target = Client(), f"{url}/v1/files/{file_id}/content"
    try:
        response = await client.request(b"GET", target, _key(), timeouts=_TIMEOUTS)
        if response.status != 200:
            raise _error(await response.read(), f"{target}: status {response.status}")
        while data := await response.chunk():
            to.write(data)
    except UpstreamError as err:
        raise GatewayError(f"{target}: {err}") from err
    finally:
        await client.aclose()


def _key() -> list[tuple[bytes, bytes]]:
    key = os.environ.get(KEY_VARIABLE, "")
    if not (key.isascii() and key.isprintable()):
        raise GatewayError(f"{KEY_VARIABLE} has characters that no key has")
    return [(b"authorization", b"Bearer " + key.encode())] if key else []


def _quoted(name: str) -> str:
    """Return a file's name as browsers write it in a form (https://url.spec.whatwg.org, "multipart/form-data")."""
    return name.replace("%", "%25").replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _error(content: bytes, otherwise: str) -> GatewayError:
    try:
        parsed: Any = orjson.loads(content)
        return GatewayError(parsed["error"]["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return GatewayError(otherwise)
