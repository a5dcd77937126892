"""Stage of ``/v1/files``: takes, lists, sends and deletes files of batches, by OpenAI's protocol."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import orjson

from switchyard.gateway.call import Call
from switchyard.gateway.edges.http import HttpEdge
from switchyard.gateway.files.contract import FileStoreError, NoFileError
from switchyard.gateway.files.form import FileForm
from switchyard.gateway.files.stored_file import PURPOSES, StoredFile
from switchyard.gateway.files.stored_files import (
    KEPT_SECONDS,
    UPLOADS,
    NewFile,
    StoredFiles,
    TooManyFilesError,
    new_file_id,
)
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.gateway.routes.query import number, parameters, require_none
from switchyard.http.api_errors import ApiError
from switchyard.http.json_body import check_encoding
from switchyard.store.contract import StoreError

FILES = "/v1/files"
WITHOUT = "this gateway keeps no files; name a store by SWITCHYARD_STORE and a place for files by SWITCHYARD_FILES"
_JSON = (b"content-type", b"application/json")
_LIST = 10_000  # on one page, as OpenAI has it
_SHORTEST_SECONDS = 3600  # that a file is kept; the longest is ``KEPT_SECONDS``


def tenant_of(call: Call) -> str:
    """Return whose files and batches a call is about, empty in a gateway without keys."""
    return "" if call.identity is None else call.identity.tenant


def files(*, stored: StoredFiles | None, now: Callable[[], float] = time.time) -> Stage:
    """Respond from the store; a gateway without one has no files. ``now`` is in seconds since 1970."""
    routes = None if stored is None else _Files(stored, now)

    async def stage(call: Call, proceed: Proceed) -> None:
        if routes is None:
            raise ApiError("not_implemented", WITHOUT)
        try:
            await routes.respond(call)
        except TooManyFilesError as err:
            raise ApiError("body_too_large", str(err)) from err
        except NoFileError as err:
            raise _unknown(call.params.get("file_id", "")) from err
        except (StoreError, FileStoreError) as err:
            raise ApiError(
                "store_unavailable", "the store of files does not respond; try again", retry_after=5
            ) from err

    return stage


class _Files:
    def __init__(self, stored: StoredFiles, now: Callable[[], float]) -> None:
        self._stored = stored
        self._now = now
        self._responses: Mapping[tuple[bytes, str], Callable[[Call], Awaitable[None]]] = {
            (b"POST", FILES): self._create,
            (b"GET", FILES): self._list,
            (b"GET", FILES + "/{file_id}"): self._retrieve,
            (b"DELETE", FILES + "/{file_id}"): self._delete,
            (b"GET", FILES + "/{file_id}/content"): self._content,
        }

    def respond(self, call: Call) -> Awaitable[None]:
        """Do what the call's route does."""
        return self._responses[call.method, call.route.path](call)

    async def _create(self, call: Call) -> None:
        assert isinstance(call.edge, HttpEdge)
        check_encoding(call.fields.get(b"content-encoding", b""))
        form = FileForm(call.fields.get(b"content-type", b""))
        if self._stored.uploads >= UPLOADS:
            raise ApiError("overloaded", f"{UPLOADS} files are being sent; try again", retry_after=1)
        file_id = new_file_id()
        async with self._stored.receiving(tenant_of(call), file_id) as new:
            await _receive(call.edge, form, new)
            purpose, kept = _purpose(form.fields), _kept(form.fields)
            await new.commit()
        now = int(self._now())
        file = StoredFile(
            id=file_id,
            tenant=tenant_of(call),
            name=form.file_name or "",
            purpose=purpose,
            size=new.size,
            created=now,
            ends=now + kept,
        )
        await self._stored.add(file)
        _send(call, file.shown())

    async def _list(self, call: Call) -> None:
        given = parameters(call.query)
        purpose = given.pop("purpose", [""])[-1]
        limit = number(given, "limit", _LIST, 1, _LIST)
        order, after = given.pop("order", ["desc"])[-1], given.pop("after", [""])[-1]
        require_none(given)
        if order not in ("asc", "desc"):
            raise ApiError("invalid_value", f"order is {order[:80]!r}; use asc or desc", param="order")
        await self._stored.refresh()
        found = [file for file in self._stored.listed(tenant_of(call)) if purpose in ("", file.purpose)]
        if order == "desc":
            found.reverse()
        _send(call, listed([file.shown() for file in found], after, limit))

    async def _retrieve(self, call: Call) -> None:
        _send(call, (await self._require(call)).shown())

    async def _delete(self, call: Call) -> None:
        file = await self._require(call)
        await self._stored.delete(file)
        _send(call, {"id": file.id, "object": "file", "deleted": True})

    async def _content(self, call: Call) -> None:
        file = await self._require(call)
        edge = call.edge
        async for chunk in self._stored.blobs.chunks(file.blob):
            if not edge.started:
                _start(call, file)
            edge.write(chunk)
            await edge.drain()
        if not edge.started:
            _start(call, file)
        edge.end()

    async def _require(self, call: Call) -> StoredFile:
        await self._stored.refresh()
        file_id = call.params["file_id"]
        found = self._stored.get(tenant_of(call), file_id)
        if found is None:
            raise _unknown(file_id)
        return found


def listed(shown: Sequence[Mapping[str, Any]], after: str, limit: int) -> dict[str, Any]:
    """Return a page of a list in OpenAI's form: ``limit`` of them after the one of the id ``after``.

    Raises:
        ApiError: nothing has this id.
    """
    ids = [one["id"] for one in shown]
    if after and after not in ids:
        raise ApiError("invalid_value", f"there is no {after[:80]!r} to begin after", param="after")
    first = ids.index(after) + 1 if after else 0
    page = list(shown[first : first + limit])
    return {
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": first + limit < len(ids),
    }


async def _receive(edge: HttpEdge, form: FileForm, new: NewFile) -> None:
    async for chunk in edge.chunks():
        if data := form.feed(chunk):
            await new.write(data)
    form.finish()


def _purpose(fields: Mapping[str, str]) -> str:
    purpose = fields.get("purpose", "")
    if purpose not in PURPOSES[:1]:
        raise ApiError(
            "invalid_value", f"purpose is {purpose[:80]!r}; files here are for batches: use batch", param="purpose"
        )
    return purpose


def _kept(fields: Mapping[str, str]) -> int:
    """Return for how many seconds a file is kept."""
    anchor, text = fields.get("expires_after[anchor]"), fields.get("expires_after[seconds]")
    if anchor is None and text is None:
        return KEPT_SECONDS
    seconds = int(text) if text is not None and text.isdecimal() and len(text) < 10 else 0
    if anchor != "created_at" or not _SHORTEST_SECONDS <= seconds <= KEPT_SECONDS:
        message = f"expires_after is created_at and {_SHORTEST_SECONDS} to {KEPT_SECONDS} seconds"
        raise ApiError("invalid_value", message, param="expires_after")
    return seconds


def _start(call: Call, file: StoredFile) -> None:
    # Of a type that no browser shows: it is what somebody's model wrote.
    headers = [(b"content-type", b"application/octet-stream"), (b"content-length", b"%d" % file.size)]
    call.edge.start(200, [*headers, (b"x-content-type-options", b"nosniff")])


def _send(call: Call, response: Mapping[str, Any]) -> None:
    call.edge.respond(200, [_JSON], orjson.dumps(response))


def _unknown(file_id: str) -> ApiError:
    return ApiError(
        "not_found", f"there is no file {file_id[:80]!r}; GET {FILES} lists those that are", param="file_id"
    )
