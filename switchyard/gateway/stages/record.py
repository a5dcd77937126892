"""Stage: makes the response of a request once, however often and wherever its client sends it.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

from collections.abc import Awaitable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from switchyard.gateway.call import Call
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.gateway.recordings import names
from switchyard.gateway.recordings.generation import Generation, Plan
from switchyard.gateway.recordings.generations import Ended, Found, Generations
from switchyard.gateway.recordings.player import Player
from switchyard.gateway.recordings.replay import lost
from switchyard.gateway.recordings.rpc import RECORDED
from switchyard.gateway.settings import Settings
from switchyard.gateway.settlements import new_call_id
from switchyard.http.api_errors import ApiError
from switchyard.http.headers import Header
from switchyard.store.contract import StoreError
from switchyard.store.recordings.contract import Page, SupersededError
from switchyard.telemetry.metrics.gateway import RecordingMetrics

KEY = b"idempotency-key"
RESUME = b"x-switchyard-resume"
CONTINUE = b"x-switchyard-continue"
UNKNOWN = "idempotency_unknown"
REPLAYED: Header = (b"idempotency-replayed", b"true")
RESUME_CONTINUES = 30.0  # seconds: a client that wants to resume has a network to lose, and reconnects by then
_LOST_SECONDS = 3600.0  # for which the next attempt is the same call to the ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """How long what is kept, in seconds: responses of a key, streams to resume, work whose client has left at most."""

    idempotency: float
    resume: float
    continued: float

    @staticmethod
    def of(settings: Settings) -> "Keeping":
        """Return what the settings say."""
        return Keeping(
            idempotency=settings.idempotency_seconds,
            resume=settings.resume_seconds,
            continued=settings.continue_seconds,
        )


def record(*, generations: Generations | None, keeping: Keeping, metrics: RecordingMetrics) -> Stage:
    """Record the responses of requests that ask for it, by an idempotency key or to resume; all others pass.

    Without ``generations``, in a gateway without a store, all pass.
    """
    for how in ("joined", "replayed", "resumed", "mismatch", "lost"):
        metrics.replays.labels(how)  # at 0: a rate sees the first one too
    recording = None if generations is None else _Recording(generations, keeping, metrics)

    def stage(call: Call, proceed: Proceed) -> Awaitable[None]:
        fields = call.fields
        if recording is None or (KEY not in fields and RESUME not in fields):
            return proceed(call)
        if call.method != b"POST" or (call.route.rpc and (call.route.rpc != RECORDED or KEY not in fields)):
            return proceed(call)
        return recording.run(call, proceed)

    return stage


class _Recording:
    def __init__(self, generations: Generations, keeping: Keeping, metrics: RecordingMetrics) -> None:
        self._generations = generations
        self._keeping = keeping
        self._metrics = metrics

    async def run(self, call: Call, proceed: Proceed) -> None:
        """Begin, join or replay the response of a call."""
        if KEY not in call.fields and not _resumes(call.fields):
            await proceed(call)
            return
        plan = self._plan(call)
        keyed = plan.exclusive
        generations, scope, name = self._generations, plan.scope, plan.names[0]
        found: Found | None = generations.find(scope, name)
        ended: Ended | None = None
        try:
            if found is None:
                found = await generations.claim(plan)
            if found is None and keyed and call.identity is not None:
                call.call_id, ended = await self._charged_as(plan)
        except StoreError as err:
            if keyed:
                message = "the store of responses does not respond, so nobody knows whether this was asked; try again"
                raise ApiError("store_unavailable", message, retry_after=1) from err
            await proceed(call)
            return
        if found is None and call.route.rpc:
            await generations.of_rpc(plan, ended).run(call, proceed)
            return
        if found is None:
            found = generations.start(plan, call, proceed, ended)
        else:
            await self._check(found, plan)
            call.edge.add_headers((REPLAYED, (b"age", b"%d" % _age(found))))
            if not call.route.rpc:
                call.edge.release()
        call.body = b""  # the work has its own
        await self._play(found, plan, call)

    async def _play(self, found: Found, plan: Plan, call: Call) -> None:
        after = names.last_event_id(call.fields) if plan.exclusive else 0
        player = Player(call.edge, call.route.shape, after=after, ids=True)
        try:
            await self._generations.play(found, plan.scope, player, call)
        except ApiError as err:
            if plan.exclusive and isinstance(found, Page) and err.code == UNKNOWN:
                await self._report(plan)
            raise

    def _plan(self, call: Call) -> Plan:
        fields, keeping, scope, new_id = call.fields, self._keeping, names.scope_of(call.identity), new_call_id()
        resumes, alias = _resumes(fields), names.of_request(call.request_id.decode())
        lasts = _continues(fields, keeping.continued, RESUME_CONTINUES if resumes else 0.0)
        given = fields.get(KEY)
        if given is None:
            own = f"resume:{new_id}"
            return Plan(scope=scope, names=(own, alias), seconds=keeping.resume, lasts=lasts, id=new_id)
        key = names.idempotency_key(given)
        if key is None:
            message = "idempotency-key is not 1 to 255 visible characters of ASCII"
            raise ApiError("invalid_value", message, param="Idempotency-Key")
        return Plan(
            scope=scope,
            names=(names.of_key(scope, key), alias),
            fingerprint=names.fingerprint(call),
            seconds=keeping.idempotency,
            lasts=lasts,
            report_lost=True,
            exclusive=True,
            id=new_id,
        )

    async def _check(self, found: Found, plan: Plan) -> None:
        """Check that a response is that of this request, and that nothing is unknown of it."""
        known = found.plan.fingerprint if isinstance(found, Generation) else found.recording.fingerprint
        if known != plan.fingerprint:
            self._count("mismatch")
            message = "this idempotency key was sent with another request; send a key of its own with each request"
            raise ApiError("idempotency_mismatch", message, param="Idempotency-Key")
        if isinstance(found, Page) and found.recording.state == "lost":
            self._count("lost")
            await self._note_lost(plan, found)
            raise lost(found.recording)
        running = isinstance(found, Generation) or found.recording.state == "running"
        self._count("joined" if running else "replayed")

    async def _report(self, plan: Plan) -> None:
        """Let the store know that a client was sent what is unknown of a response that was lost while it followed."""
        store, bounds = self._generations.store, plan.bounds
        with suppress(StoreError, SupersededError):  # then the next attempt is sent it once more
            page = await self._generations.claim(plan)
            if page is None:  # another client was sent it first
                await store.finish(plan.scope, plan.id, 0, b"", complete=False, ttl=plan.seconds, bounds=bounds)
            elif page.recording.state == "lost":
                self._count("lost")
                await self._note_lost(plan, page)

    async def _note_lost(self, plan: Plan, page: Page) -> None:
        """Let the next attempt be the same call to the ledger, which nobody knows to have charged this one."""
        name, call_id = names.of_lost(plan.names[0]), page.recording.id.encode()
        seconds = _LOST_SECONDS
        try:
            await self._generations.store.claim(plan.scope, name, new_call_id(), call_id, lease=seconds, ttl=seconds)
        except StoreError as err:
            message = "the store of responses does not respond; try again"
            raise ApiError("store_unavailable", message, retry_after=1) from err

    async def _charged_as(self, plan: Plan) -> tuple[str, Ended | None]:
        """Return the call's id in the ledger: its own, or after a crash that of the first attempt, until it ends."""
        store, name = self._generations.store, names.of_lost(plan.names[0])
        page = await store.find(plan.scope, name)
        if page is None:
            return plan.id, None
        return page.recording.fingerprint.decode(), partial(_forget, self._generations, plan.scope, name)

    def _count(self, how: str) -> None:
        self._metrics.replays.labels(how).inc()


async def _forget(generations: Generations, scope: str, name: str) -> None:
    await generations.store.forget(scope, name)


def _age(found: Found) -> float:
    return found.age if isinstance(found, Generation) else found.recording.age


def _resumes(fields: Mapping[bytes, bytes]) -> bool:
    value = fields.get(RESUME)
    if value not in (None, b"true", b"false"):
        raise ApiError("invalid_value", "x-switchyard-resume is not true or false", param="x-switchyard-resume")
    return value == b"true"


def _continues(fields: Mapping[bytes, bytes], most: float, default: float) -> float:
    """Return for how many seconds the work goes on without a client."""
    value = fields.get(CONTINUE)
    if value is None:
        return min(default, most)
    if not (value.isdigit() and len(value) <= 6):
        message = "x-switchyard-continue is not a whole number of seconds"
        raise ApiError("invalid_value", message, param="x-switchyard-continue")
    return min(float(value), most)
