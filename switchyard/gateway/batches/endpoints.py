"""Stage of ``/v1/batches``: makes, lists, shows and cancels batches, by OpenAI's protocol."""

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson

from switchyard.gateway.batches.batch import Batch, Owner
from switchyard.gateway.batches.lines.requests import endpoint_route
from switchyard.gateway.batches.stored_batches import (
    ACTIVE_BATCHES,
    StoredBatches,
    TooManyBatchesError,
    UnknownBatchError,
    new_batch_id,
)
from switchyard.gateway.call import Call
from switchyard.gateway.files.endpoints import WITHOUT, listed, tenant_of
from switchyard.gateway.files.stored_files import StoredFiles
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.gateway.routes.match import Router
from switchyard.gateway.routes.query import number, parameters, require_none
from switchyard.http.api_errors import ApiError
from switchyard.http.json_body import check_encoding, check_json_type, parse_object
from switchyard.store.contract import StoreError

BATCHES = "/v1/batches"
_JSON = (b"content-type", b"application/json")
_BODY_BYTES = 64 * 1024
_WINDOW = re.compile(r"([1-9][0-9]{0,4})([mh])")
_WEEK = 7 * 86400
# As OpenAI has them
_METADATA, _KEY_CHARACTERS, _VALUE_CHARACTERS = 16, 64, 512
_PAGE, _FIELDS = 100, ("input_file_id", "endpoint", "completion_window", "metadata", "output_expires_after")


def batches(
    *, stored: StoredBatches | None, files: StoredFiles | None, router: Router, now: Callable[[], float] = time.time
) -> Stage:
    """Respond from the store; a gateway without one has no batches. ``now`` is in seconds since 1970."""
    routes = None if stored is None or files is None else _Batches(stored, files, router, now)

    async def stage(call: Call, proceed: Proceed) -> None:
        if routes is None:
            raise ApiError("not_implemented", WITHOUT)
        try:
            response = await routes.respond(call)
        except StoreError as err:
            message = "the store of batches does not respond; try again"
            raise ApiError("store_unavailable", message, retry_after=5) from err
        call.edge.respond(200, [_JSON], orjson.dumps(response))

    return stage


class _Batches:
    def __init__(self, stored: StoredBatches, files: StoredFiles, router: Router, now: Callable[[], float]) -> None:
        self._stored = stored
        self._files = files
        self._router = router
        self._now = now
        self._responses: Mapping[tuple[bytes, str], Callable[[Call], Awaitable[dict[str, Any]]]] = {
            (b"POST", BATCHES): self._create,
            (b"GET", BATCHES): self._list,
            (b"GET", BATCHES + "/{batch_id}"): self._retrieve,
            (b"POST", BATCHES + "/{batch_id}/cancel"): self._cancel,
        }

    def respond(self, call: Call) -> Awaitable[dict[str, Any]]:
        """Do what the call's route does."""
        return self._responses[call.method, call.route.path](call)

    async def _create(self, call: Call) -> dict[str, Any]:
        fields = _fields(call)
        endpoint, file_id = _text(fields, "endpoint"), _text(fields, "input_file_id")
        if endpoint_route(self._router, endpoint) is None:
            message = f"endpoint is {endpoint[:80]!r}, which takes no batches; docs/how-to/run-a-batch.md has the list"
            raise ApiError("invalid_value", message, param="endpoint")
        window = fields.get("completion_window", "24h")
        seconds, metadata = _seconds(window), _metadata(fields.get("metadata"))
        await self._files.refresh()
        if self._files.get(tenant_of(call), file_id) is None:
            message = f"there is no file {file_id[:80]!r}; send one to POST /v1/files"
            raise ApiError("not_found", message, param="input_file_id")
        now = int(self._now())
        batch = Batch(
            id=new_batch_id(),
            owner=_owner(call),
            endpoint=endpoint,
            input=file_id,
            window=window,
            created=now,
            ends=now + seconds,
            metadata=metadata,
        )
        try:
            await self._stored.create(batch)
        except TooManyBatchesError:
            message = f"{ACTIVE_BATCHES} batches are not done yet, as many as may be; wait for one, or cancel it"
            raise ApiError("too_many_requests", message, retry_after=60) from None
        return batch.shown()

    async def _list(self, call: Call) -> dict[str, Any]:
        given = parameters(call.query)
        limit, after = number(given, "limit", 20, 1, _PAGE), given.pop("after", [""])[-1]
        require_none(given)
        await self._stored.refresh()
        return listed([batch.shown() for batch in self._stored.listed(tenant_of(call))], after, limit)

    async def _retrieve(self, call: Call) -> dict[str, Any]:
        await self._stored.refresh()
        found = self._stored.get(tenant_of(call), call.params["batch_id"])
        if found is None:
            raise _unknown(call)
        return found.shown()

    async def _cancel(self, call: Call) -> dict[str, Any]:
        def cancelled(batch: Batch) -> Batch:
            # What is being written down, or has ended, stays as it is.
            return batch.into("cancelling", self._now()) if batch.status in ("validating", "in_progress") else batch

        try:
            return (await self._stored.change(tenant_of(call), call.params["batch_id"], cancelled)).shown()
        except UnknownBatchError:
            raise _unknown(call) from None


def _owner(call: Call) -> Owner:
    identity = call.identity
    if identity is None:
        return Owner()
    return Owner(
        tenant=identity.tenant, team=identity.team, key_id=identity.key_id, roles=tuple(sorted(identity.roles))
    )


def _fields(call: Call) -> Mapping[str, Any]:
    check_json_type(call.fields.get(b"content-type", b""))
    check_encoding(call.fields.get(b"content-encoding", b""))
    if len(call.body) > _BODY_BYTES:
        raise ApiError("body_too_large", f"a request for a batch has at most {_BODY_BYTES} bytes")
    fields = parse_object(call.body)
    for name in fields:
        if name not in _FIELDS:
            message = f"there is no field {name[:80]!r} here; use {', '.join(_FIELDS)}"
            raise ApiError("invalid_value", message, param=name[:80])
    return fields


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise ApiError("invalid_value", f"{name} is missing, or is no text", param=name)
    return value


def _seconds(window: object) -> int:
    found = _WINDOW.fullmatch(window) if isinstance(window, str) else None
    seconds = int(found[1]) * (60 if found[2] == "m" else 3600) if found else 0
    if not 0 < seconds <= _WEEK:
        message = "completion_window is 24h, or other hours or minutes (90m), at most a week"
        raise ApiError("invalid_value", message, param="completion_window")
    return seconds


def _metadata(given: object) -> Mapping[str, str] | None:
    if given is None:
        return None
    if isinstance(given, dict) and len(given) <= _METADATA:
        texts = all(isinstance(value, str) and len(value) <= _VALUE_CHARACTERS for value in given.values())
        if texts and all(len(name) <= _KEY_CHARACTERS for name in given):
            return given
    message = (
        f"metadata is an object of up to {_METADATA} texts, with names of {_KEY_CHARACTERS} characters and values of "
        f"{_VALUE_CHARACTERS} at most"
    )
    raise ApiError("invalid_value", message, param="metadata")


def _unknown(call: Call) -> ApiError:
    message = f"there is no batch {call.params['batch_id'][:80]!r}; GET {BATCHES} lists those that are"
    return ApiError("not_found", message, param="batch_id")
