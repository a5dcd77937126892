"""Loads and unloads a service's model for who asks by V2's repository extension, in place of its process."""

import asyncio
import re
from typing import Literal, Protocol

from switchyard.http.api_errors import ApiError
from switchyard.http.json_body import parse_object
from switchyard.rpc import v2
from switchyard.rpc.protobuf import fields

Control = Literal["load", "unload"]

BODY_BYTES = 64 * 1024  # of a request that holds a few parameters at most

_PATH = re.compile(rb"/v2/repository/models/([^/]+)/(load|unload)")
_RPC: dict[str, Control] = {v2.path("RepositoryModelLoad"): "load", v2.path("RepositoryModelUnload"): "unload"}
_PARAMETERS = 3  # of a RepositoryModelLoadRequest


class Loadable(Protocol):
    """A model that can be loaded and unloaded; both raise ``ApiError``, and return when that is done."""

    async def load(self) -> None: ...
    async def unload(self) -> None: ...


def of_path(method: bytes, path: bytes) -> Control | None:
    """Return what a request over HTTP wants done, None if it is another one."""
    found = _PATH.fullmatch(path) if method == b"POST" else None
    return None if found is None else "load" if found[2] == b"load" else "unload"


def of_call(path: str) -> Control | None:
    """Return what a gRPC call wants done, None if it is another one."""
    return _RPC.get(path)


def check_body(control: Control, body: bytes) -> None:
    """Check a request over HTTP; an unload may have parameters, as Triton's clients always send them.

    Raises:
        ApiError: it is no such request, or has what a language model's load cannot take.
    """
    if body.strip() and parse_object(body).get("parameters") and control == "load":
        raise _no_parameters()


def check_message(control: Control, message: bytes) -> None:
    """Check a gRPC message as ``check_body`` does.

    Raises:
        ApiError: as there.
    """
    try:
        has_parameters = any(number == _PARAMETERS for number, *_ in fields(message))
    except ValueError as err:
        raise ApiError("invalid_value", f"the request is not a V2 message: {err}") from err
    if has_parameters and control == "load":
        raise _no_parameters()


async def carry_out(control: Control, model: Loadable, name: str, timeout: float) -> None:
    """Load or unload within ``timeout`` seconds.

    Raises:
        ApiError: it cannot be done, or not in time.
    """
    try:
        async with asyncio.timeout(timeout):
            await (model.load() if control == "load" else model.unload())
    except TimeoutError:
        raise ApiError("upstream_timeout", f"{name} did not {control} within {timeout:g} s") from None


def _no_parameters() -> ApiError:
    told = "a language or embedding model is loaded with its service's own flags; leave the parameters out"
    return ApiError("invalid_value", told)
