"""Whether we split what came as others do: two of three peers decide what is usual.

A difference is one of three kinds. ``stricter``: what we reject, they pass on. ``laxer``: what they reject, we pass on.
``split``: we see other requests than they do, which is how requests are smuggled; there is no excuse for that.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tests.differential.ours import BARE, GATEWAY
from tests.differential.proxies import NAMES
from tests.differential.running import Outcome, Outcomes
from tests.differential.upstream import Seen

Kind = Literal["stricter", "laxer", "split"]
_ABSOLUTE = re.compile(rb"^[A-Za-z][A-Za-z0-9+.-]*://[^/?]*")
_METHOD = re.compile(r"the method \S+ is")
_AGREE = 2  # peers


@dataclass(frozen=True, slots=True)
class Difference:
    """How we differ, and the sentence with which we rejected, if we did."""

    kind: Kind
    reason: str


def difference(outcomes: Outcomes) -> Difference | None:
    """What is different about our server and client as a proxy, or about the gateway that is built on them."""
    ours = outcomes[BARE]
    if any(not seen.method for seen in (*ours.seen, *outcomes[GATEWAY].seen)):
        return Difference("split", "what was sent on cannot be read")
    if not _is_part(_paths(outcomes[GATEWAY]), _paths(ours)):
        return Difference("split", "the gateway sees another request than the server under it")
    peers = Counter(_meaning(outcomes[name]) for name in NAMES)
    usual, count = peers.most_common(1)[0]
    mine = _meaning(ours)
    if mine == usual or (count < _AGREE and mine in peers):
        return None
    if count < _AGREE:  # no two of them agree: we should not pass on more than any of them
        usual = max(peers, key=len)
    return Difference(_kind(mine, usual, ours), _reason(ours.said))


def rejecting(outcomes: Outcomes) -> list[str]:
    """The peers that passed on less than the one of all that passed on most."""
    most = max(len(outcome.seen) for outcome in outcomes.values())
    return [name for name in NAMES if len(outcomes[name].seen) < most]


def _kind(mine: tuple[Seen, ...], usual: tuple[Seen, ...], outcome: Outcome) -> Kind:
    if mine == usual[: len(mine)]:
        return "stricter"
    if _is_part(mine, usual) and len(outcome.statuses) == len(usual):  # some got a response of ours
        return "stricter"
    return "laxer" if usual == mine[: len(usual)] else "split"


def _meaning(outcome: Outcome) -> tuple[Seen, ...]:
    """What was seen, whether a target was passed on as an absolute one or as its path (RFC 9112 §3.2)."""
    return tuple(replace(seen, target=_ABSOLUTE.sub(b"", seen.target)) for seen in outcome.seen)


def _paths(outcome: Outcome) -> tuple[Seen, ...]:
    """What was seen, without queries: the gateway passes them on where a route says so."""
    return tuple(replace(seen, target=seen.target.partition(b"?")[0]) for seen in _meaning(outcome))


def _is_part(some: Sequence[Seen], whole: Sequence[Seen]) -> bool:
    """Whether ``some`` are among ``whole``, in the same order."""
    rest = iter(whole)
    return all(one in rest for one in some)


def _reason(said: bytes) -> str:
    """Why we rejected, without a method's name; empty when a response to HEAD could not say it."""
    try:
        error = json.loads(said.rpartition(b"\r\n\r\n")[2])["error"]
    except (ValueError, KeyError, TypeError):
        return ""
    sentence = str(error["message"] if isinstance(error, dict) else error)
    return _METHOD.sub("the method is", sentence.removeprefix("this is not HTTP/1.1: "))
