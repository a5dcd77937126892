"""Asks a running gateway, with the key of an administrator."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from switchyard.local.program import PORT_VARIABLE

if TYPE_CHECKING:
    from switchyard.local.status.run_directory import Run

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


class GatewayError(Exception):
    """A gateway does not respond, or responds with an error; the message is for a person."""


class _SilentError(Exception):
    """Nothing responds."""


def gateway_url(given: str) -> str:
    """Return the URL of a gateway; without one that of this folder's, so that no key goes to somebody else's."""
    if given:
        return given
    run = _run_here()
    port = os.environ.get(PORT_VARIABLE, "")
    if run and port in ("", str(urlsplit(run.gateway).port)):
        return run.gateway
    return f"http://localhost:{port or 8000}"


def _run_here() -> "Run | None":
    from switchyard.local.supervisor import project

    return project.directory_of(project.root_of(Path.cwd())).running()


def ask(
    url: str,
    method: str,
    path: str,
    body: Mapping[str, object] | None = None,
    *,
    anonymous: bool = False,
    seconds: float = _SECONDS,
) -> Any:
    """Do what ``request`` does; print its error, and exit with 1, where it has one."""
    try:
        return request(url, method, path, body, anonymous=anonymous, seconds=seconds)
    except GatewayError as err:
        typer.echo(f"error: {err}", err=True)
        raise typer.Exit(1) from err


def request(
    url: str,
    method: str,
    path: str,
    body: Mapping[str, object] | None = None,
    *,
    anonymous: bool = False,
    seconds: float = _SECONDS,
) -> Any:
    """Return the JSON of a gateway's response, None of another.

    An ``anonymous`` request is sent without a key where none is set: a gateway on one machine may ask for none.

    Raises:
        GatewayError: it does not respond, or responds with an error.
    """
    key = os.environ.get(KEY_VARIABLE, "")
    if not key and not anonymous:
        raise GatewayError(
            f"{KEY_VARIABLE} is not set: the key of an administrator, which has the role admin in tenants.yaml"
        )
    if not (key.isascii() and key.isprintable()):
        raise GatewayError(f"{KEY_VARIABLE} has characters that no key has")
    import asyncio  # late, as `switchyard --help` need not wait for it

    gateway = gateway_url(url)
    try:
        return asyncio.run(_ask(gateway.rstrip("/") + path, method, key, body, seconds))
    except _SilentError as err:
        if not url and _run_here() is None:
            raise GatewayError(
                f"nothing runs here; `switchyard up` serves the models, or --url names a gateway ({gateway}: {err})"
            ) from err
        raise GatewayError(f"{gateway.rstrip('/') + path}: {err}; --url names the gateway") from err


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
        raise _SilentError(str(err)) from err
    finally:
        await client.aclose()
    try:
        parsed = orjson.loads(content)
    except orjson.JSONDecodeError:
        parsed = None
    if response.status != 200:
        raise GatewayError(_message(parsed) or f"{url}: status {response.status}")
    return parsed


def _message(parsed: Any) -> str:
    """Return what an error says, in OpenAI's shape or in V2's."""
    error = parsed.get("error") if isinstance(parsed, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return str(message or "")
