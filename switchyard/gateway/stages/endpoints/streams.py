"""Stage of ``/v1/streams/{request_id}``: a response again from any event on, while it is made and after."""

from switchyard.gateway.call import Call
from switchyard.gateway.lookup import Locate
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.gateway.recordings import names
from switchyard.gateway.recordings.format import Head
from switchyard.gateway.recordings.generations import Found, Generations
from switchyard.gateway.recordings.player import Player
from switchyard.gateway.recordings.replay import lost
from switchyard.gateway.routes.query import number, parameters, require_none
from switchyard.http.api_errors import ApiError
from switchyard.store.contract import StoreError
from switchyard.store.recordings.contract import Page
from switchyard.telemetry.metrics.gateway import RecordingMetrics

STREAM = "/v1/streams/{request_id}"
MOST_EVENTS = 10**15


def resume(*, generations: Generations | None, locate: Locate, metrics: RecordingMetrics) -> Stage:
    """Send a tenant a response of its own, recorded by the id of its request; ``locate`` finds what it may use."""

    async def stage(call: Call, proceed: Proceed) -> None:
        if call.route.path != STREAM:
            await proceed(call)
            return
        if generations is None:
            message = "this gateway keeps no responses; name a store by SWITCHYARD_STORE"
            raise ApiError("not_implemented", message)
        after, scope = _after(call), names.scope_of(call.identity)
        found = await _found(generations, scope, call.params["request_id"])
        metrics.replays.labels("resumed").inc()

        def check(head: Head) -> None:
            locate(head.model, call.identity)  # another key of the tenant may be for other models

        player = Player(call.edge, call.route.shape, after=after, ids=True, check=check)
        await generations.play(found, scope, player, call)

    return stage


def _after(call: Call) -> int:
    given = parameters(call.query)
    after = number(given, "after", names.last_event_id(call.fields), 0, MOST_EVENTS)
    require_none(given)
    return after


async def _found(generations: Generations, scope: str, request_id: str) -> Found:
    name = names.of_request(request_id)
    found: Found | None = generations.find(scope, name)
    if found is None:
        try:
            found = await generations.store.find(scope, name)
        except StoreError as err:
            message = "the store of responses does not respond; try again"
            raise ApiError("store_unavailable", message, retry_after=1) from err
    if found is None:
        message = (
            "no response has this x-request-id; ask for one that can be resumed by x-switchyard-resume: true, and "
            "resume it in time"
        )
        raise ApiError("not_found", message)
    if isinstance(found, Page) and found.recording.state == "lost":
        raise lost(found.recording)
    return found
