"""Asks a running gateway, with the key of an administrator."""

import os
from collections.abc import Mapping
from typing import Annotated, Any, NoReturn

import typer

KEY_VARIABLE = "SWITCHYARD_KEY"
Url = Annotated[
    str,
    typer.Option(envvar="SWITCHYARD_URL", help=f"The gateway; an administrator's key is in {KEY_VARIABLE}."),
]
DEFAULT_URL = "http://localhost:8000"
_SECONDS = 30.0


def ask(url: str, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
    """Return the JSON of a gateway's response; print its error, and exit with 1, where it has one."""
    key = os.environ.get(KEY_VARIABLE, "")
    if not key:
        _fail(f"{KEY_VARIABLE} is not set: the key of an administrator, which has the role admin in tenants.yaml")
    if not (key.isascii() and key.isprintable()):
        _fail(f"{KEY_VARIABLE} has characters that no key has")
    import asyncio  # late, as `switchyard --help` need not wait for it

    return asyncio.run(_ask(url.rstrip("/") + path, method, key, body))


async def _ask(url: str, method: str, key: str, body: Mapping[str, object] | None) -> Any:
    import orjson

    from switchyard.http.client import Client, Timeouts
    from switchyard.http.client.errors import UpstreamError

    client = Client()
    headers = [(b"authorization", b"Bearer " + key.encode()), (b"content-type", b"application/json")]
    sent = b"" if body is None else orjson.dumps(body)
    try:
        response = await client.request(method.encode(), url, headers, sent, timeouts=Timeouts(total=_SECONDS))
        content = await response.read()
    except (UpstreamError, ValueError) as err:
        _fail(f"{url}: {err}; --url names the gateway")
    finally:
        await client.aclose()
    try:
        parsed = orjson.loads(content)
    except orjson.JSONDecodeError:
        parsed = None
    if response.status != 200:
        error = parsed.get("error") if isinstance(parsed, dict) else None
        _fail(
            error["message"] if isinstance(error, dict) and "message" in error else f"{url}: status {response.status}"
        )
    return parsed


def _fail(message: str) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(1)
