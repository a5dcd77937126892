"""Asks a running gateway, with the key of an administrator."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NoReturn
from urllib.parse import urlsplit

import typer

from switchyard.local.program import PORT_VARIABLE

KEY_VARIABLE = "SWITCHYARD_KEY"
Url = Annotated[
    str,
    typer.Option(
        envvar="SWITCHYARD_URL",
        help=f"The gateway, to which the key in {KEY_VARIABLE} is sent. Without it: at the port {PORT_VARIABLE}, or "
        "the one that `switchyard up` runs in this folder, or http://localhost:8000.",
        show_default=False,
    ),
]
_SECONDS = 30.0  # for a response, unless a command says that it may take longer


def gateway_url(given: str) -> str:
    """Return the URL of a gateway; without one that of this folder's, so that no key goes to somebody else's."""
    if given:
        return given
    from switchyard.local.supervisor import project

    run = project.directory_of(project.root_of(Path.cwd())).running()
    port = os.environ.get(PORT_VARIABLE, "")
    if run and port in ("", str(urlsplit(run.gateway).port)):
        return run.gateway
    return f"http://localhost:{port or 8000}"


def ask(
    url: str,
    method: str,
    path: str,
    body: Mapping[str, object] | None = None,
    *,
    anonymous: bool = False,
    seconds: float = _SECONDS,
) -> Any:
    """Return the JSON of a gateway's response, None of another; print its error, and exit with 1, where it has one.

    An ``anonymous`` request is sent without a key where none is set: a gateway on one machine may ask for none.
    """
    key = os.environ.get(KEY_VARIABLE, "")
    if not key and not anonymous:
        _fail(f"{KEY_VARIABLE} is not set: the key of an administrator, which has the role admin in tenants.yaml")
    if not (key.isascii() and key.isprintable()):
        _fail(f"{KEY_VARIABLE} has characters that no key has")
    import asyncio  # late, as `switchyard --help` need not wait for it

    return asyncio.run(_ask(gateway_url(url).rstrip("/") + path, method, key, body, seconds))


async def _ask(url: str, method: str, key: str, body: Mapping[str, object] | None, seconds: float) -> Any:
    import orjson

    from switchyard.http.client import Client, Timeouts
    from switchyard.http.client.errors import UpstreamError

    client = Client()
    headers = [(b"content-type", b"application/json")]
    if key:
        headers.append((b"authorization", b"Bearer " + key.encode()))
    sent = b"" if body is None else orjson.dumps(body)
    try:
        response = await client.request(method.encode(), url, headers, sent, timeouts=Timeouts(total=seconds))
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
        _fail(_message(parsed) or f"{url}: status {response.status}")
    return parsed


def _message(parsed: Any) -> str:
    """Return what an error says, in OpenAI's shape or in V2's."""
    error = parsed.get("error") if isinstance(parsed, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return str(message or "")


def _fail(message: str) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(1)
