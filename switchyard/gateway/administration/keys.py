"""Stage of ``/v1/organization/admin_api_keys``: lists, makes, rotates and revokes keys, and writes down who did."""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import orjson

from switchyard.gateway.administration import key_objects
from switchyard.gateway.administration.actors import actor_of
from switchyard.gateway.administration.key_requests import asked_id, read_new_key, read_overlap, read_page
from switchyard.gateway.audit.log import Act, AuditLog
from switchyard.gateway.call import Call
from switchyard.gateway.keys.stored_key import StoredKey, TooManySecretsError, new_key, revoked, rotated
from switchyard.gateway.keys.stored_keys import (
    MOST,
    KeyTakenError,
    StoredKeys,
    TooManyKeysError,
    UnknownKeyError,
)
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.gateway.tenants.directory import Directory, FileKey, Identity
from switchyard.http.api_errors import ApiError
from switchyard.http.json_body import check_encoding, check_json_type
from switchyard.store.contract import StoreError

KEYS = "/v1/organization/admin_api_keys"
T = TypeVar("T")
_ACTS = {
    (b"POST", KEYS): "api_key.created",
    (b"POST", KEYS + "/{key_id}/rotate"): "api_key.updated",
    (b"DELETE", KEYS + "/{key_id}"): "api_key.deleted",
}
_JSON = (b"content-type", b"application/json")


def administer_keys(*, directory: Callable[[], Directory], keys: StoredKeys | None, audit: AuditLog) -> Stage:
    """Respond from the store and the file of tenants, and write down what was done.

    A gateway without either has no keys to administer.
    """
    administration = None if keys is None else _Keys(directory, keys)

    async def stage(call: Call, proceed: Proceed) -> None:
        if administration is None or call.identity is None:
            message = "this gateway keeps no keys; name tenants by SWITCHYARD_TENANTS and a store by SWITCHYARD_STORE"
            raise ApiError("not_implemented", message)
        act = _ACTS.get((call.method, call.route.path))
        try:
            response = await _responded(administration, call, call.identity)
        except ApiError as err:
            if act is not None:
                key_id = call.params.get("key_id") or asked_id(call.body)
                await audit.write(Act(type=act, details={"id": key_id}, outcome=err.code), actor_of(call))
            raise
        if act is not None:
            await audit.write(administration.act(act, response), actor_of(call))
        call.edge.respond(200, [_JSON], orjson.dumps(response))

    return stage


async def _responded(administration: "_Keys", call: Call, identity: Identity) -> dict[str, Any]:
    if call.body:
        check_json_type(call.fields.get(b"content-type", b""))
        check_encoding(call.fields.get(b"content-encoding", b""))
    try:
        return await administration.respond(call, identity)
    except StoreError as err:
        raise ApiError("store_unavailable", "the store of keys does not respond; try again", retry_after=5) from err


class _Keys:
    def __init__(self, directory: Callable[[], Directory], keys: StoredKeys) -> None:
        self._directory = directory
        self._keys = keys
        self._responses: Mapping[tuple[bytes, str], Callable[[Call, Identity], Awaitable[dict[str, Any]]]] = {
            (b"GET", KEYS): self._list,
            (b"POST", KEYS): self._create,
            (b"GET", KEYS + "/{key_id}"): self._retrieve,
            (b"DELETE", KEYS + "/{key_id}"): self._revoke,
            (b"POST", KEYS + "/{key_id}/rotate"): self._rotate,
        }

    def respond(self, call: Call, identity: Identity) -> Awaitable[dict[str, Any]]:
        """Do what the route of the call does, for whoever asks."""
        return self._responses[call.method, call.route.path](call, identity)

    def act(self, kind: str, response: Mapping[str, Any]) -> Act:
        """Return what was done to a key of the store, which ``response`` is about."""
        key_id = response["id"]
        if (key := self._keys.get(key_id)) is None:
            return Act(type=kind, details={"id": key_id})
        details: dict[str, Any] = {"id": key_id}
        if kind == "api_key.created":
            details["data"] = {"scopes": key.roles, "name": key.name, "team": key.team, "expires_at": key.ends}
        elif kind == "api_key.updated":
            replaced = response["previous_expires_at"]
            details["changes_requested"] = {"expires_at": key.ends, "previous_expires_at": replaced}
        return Act(type=kind, project=key.tenant, details=details)

    async def _list(self, call: Call, identity: Identity) -> dict[str, Any]:
        page = read_page(call.query)
        await self._keys.refresh()
        ids = [*self._directory().key_ids, *(key.id for key in self._keys.listed())]
        if page.descending:
            ids.reverse()
        first = 0
        if page.after:
            if page.after not in ids:
                raise ApiError("invalid_value", f"there is no key {page.after[:80]!r} to begin after", param="after")
            first = ids.index(page.after) + 1
        shown = ids[first : first + page.limit]
        found = [self._require(key_id) for key_id in shown]
        last_uses, now = await self._keys.uses.of(shown), time.time()
        return {
            "object": "list",
            "data": [key_objects.shown(key, last_uses.get(key.id), now) for key in found],
            "first_id": shown[0] if shown else None,
            "last_id": shown[-1] if shown else None,
            "has_more": first + page.limit < len(ids),
        }

    async def _create(self, call: Call, identity: Identity) -> dict[str, Any]:
        now = int(time.time())
        wanted = read_new_key(call.body, now)
        # A client of OpenAI's names no tenant.
        tenant = identity.tenant if wanted.tenant is None else wanted.tenant
        team = identity.team if wanted.tenant is None and not wanted.team else wanted.team
        directory = self._directory()
        if tenant not in directory.tenants:
            message = f"there is no tenant {tenant[:80]!r}; tenants are made in tenants.yaml"
            raise ApiError("invalid_value", message, param="tenant")
        if directory.of_token(tenant, team, wanted.id, frozenset()) is None:
            message = f"tenant {tenant} has no team {team[:80]!r}; teams are made in tenants.yaml"
            raise ApiError("invalid_value", message, param="team")
        if directory.key(wanted.id) is not None:
            raise ApiError("key_conflict", f"tenants.yaml has a key {wanted.id}; choose another id", param="id")
        key, secret = new_key(wanted.id, wanted.name, tenant, team, wanted.roles, now=now, ends=wanted.ends)
        try:
            await self._keys.create(key)
        except KeyTakenError:
            raise ApiError("key_conflict", f"there is a key {wanted.id}; choose another id", param="id") from None
        except TooManyKeysError:
            message = f"the store has {MOST} keys, as many as it may: put some into tenants.yaml"
            raise ApiError("key_conflict", message) from None
        return {**key_objects.of_store(key, None, now), "value": secret}

    async def _retrieve(self, call: Call, identity: Identity) -> dict[str, Any]:
        await self._keys.refresh()
        key = self._require(call.params["key_id"])
        return key_objects.shown(key, (await self._keys.uses.of([key.id])).get(key.id), time.time())

    async def _revoke(self, call: Call, identity: Identity) -> dict[str, Any]:
        now = int(time.time())
        key, _ = await self._change(call.params["key_id"], lambda key: (revoked(key, now=now), None))
        return {"object": "organization.admin_api_key.deleted", "id": key.id, "deleted": True}

    async def _rotate(self, call: Call, identity: Identity) -> dict[str, Any]:
        now, overlap = int(time.time()), read_overlap(call.body)

        def rotate(key: StoredKey) -> tuple[StoredKey, str]:
            if (status := key.status(now)) != "active":
                raise ApiError("key_conflict", f"the key {key.id} is {status} and stays so; create another")
            return rotated(key, now=now, overlap=overlap)

        try:
            key, secret = await self._change(call.params["key_id"], rotate)
        except TooManySecretsError as err:
            message = f"{err}, as many as may be: wait until one ends, or end all by overlap_seconds 0"
            raise ApiError("key_conflict", message) from None
        last_use = (await self._keys.uses.of([key.id])).get(key.id)
        return {**key_objects.of_store(key, last_use, now), "value": secret}

    async def _change(self, key_id: str, change: Callable[[StoredKey], tuple[StoredKey, T]]) -> tuple[StoredKey, T]:
        """Change a key of the store.

        Raises:
            ApiError: there is none of this id, or it is one of the file.
        """
        try:
            return await self._keys.change(key_id, change)
        except UnknownKeyError:
            self._require(key_id)
            message = (
                f"the key {key_id} is in tenants.yaml: change it there, by `revoked: true` or `expires`, and bring the "
                "file to the gateway, by `switchyard up` on one machine or by `kubectl apply -k`"
            )
            raise ApiError("key_conflict", message) from None

    def _require(self, key_id: str) -> StoredKey | FileKey:
        found = self._keys.get(key_id) or self._directory().key(key_id)
        if found is None:
            message = f"there is no key {key_id[:80]!r}; GET {KEYS} lists those that are"
            raise ApiError("not_found", message, param="key_id")
        return found
