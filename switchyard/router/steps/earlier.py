"""What a response says of the steps before it: how they decided and, to who asks, what they used."""

from collections.abc import Iterable

from switchyard.http.headers import OF_USAGE, USAGE, USAGE_BEFORE, Header
from switchyard.http.usage import TAIL_BYTES, Usage, usage_of_tail, usage_of_text
from switchyard.router.steps.response import StepResponse

_NOTHING = Usage()


class EarlierSteps:
    """The steps of a sequence that have responded before the last one."""

    def __init__(self, request: Iterable[Header]) -> None:
        self._asked = is_asked(request)
        self._headers: list[Header] = []
        self._used = _NOTHING

    def add(self, response: StepResponse, body: bytes) -> None:
        """Add a step by its response, whose whole ``body`` was read."""
        self._headers += response.kept_headers
        if self._asked:
            self._used += usage_of_step(response, body)

    def say_in(self, last: StepResponse) -> None:
        """Add to the last response what the client learns of these steps, beside what that says of itself."""
        if self._used != _NOTHING:
            said = self._used + _before(last)
            others = [header for header in last.headers if header[0] != USAGE_BEFORE]
            last.headers = [*others, (USAGE_BEFORE, said.as_json())]
        last.add_headers(self._headers)


def is_asked(request: Iterable[Header]) -> bool:
    """Return whether a request with these headers asks what it uses."""
    return any(name == USAGE for name, _ in request)


def usage_of_step(response: StepResponse, body: bytes) -> Usage:
    """Return what a step used whose whole ``body`` was read, with the steps before it where it is a graph's.

    A response with an error used nothing.
    """
    if not response.succeeded:
        return _NOTHING
    said = dict(response.headers).get(USAGE)
    usage = usage_of_tail(body[-TAIL_BYTES:]) if said is None else usage_of_text(said)
    return (usage or _NOTHING) + _before(response)


def say_all(response: StepResponse, used: Iterable[Usage]) -> None:
    """Let a response that is composed of others' say what all of them used."""
    total = sum(used, _NOTHING)
    response.headers = [*(header for header in response.headers if header[0] not in OF_USAGE), (USAGE, total.as_json())]


def _before(response: StepResponse) -> Usage:
    said = dict(response.headers).get(USAGE_BEFORE)
    return (None if said is None else usage_of_text(said)) or _NOTHING
