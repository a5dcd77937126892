"""Our router against KServe's own, on generated graphs, requests and replies.

Both are held against a model of what each has to do (``contract``), so that every difference is one that is written
down, and where the rules are the same, so are answers and calls.
"""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from benchmarks import go
from switchyard.router.gjson import is_valid_json
from tests.live.router import contract
from tests.live.router.contract import KSERVE, OURS, Outcome, Rules
from tests.live.router.differences import DIFFERENCES
from tests.live.router.graphs import PATTERNS, SERVICES, Case, cases, graphs, url
from tests.live.router.routers import Ours, Pair, Router
from tests.live.router.upstream import Call, Reply, Services, closed_port

pytestmark = pytest.mark.live

ATTEMPTS = 3  # switchyard.router.steps.retry
_COMPARED = ("content-type", "authorization", "x-request-id", "x-other", "cookie", "traceparent", "x-switchyard-tenant")


@dataclass(frozen=True, slots=True)
class Bench:
    """What examples share."""

    program: Path
    forks: Ours
    services: Services
    nobody: str
    numbers: Iterator[int]

    def replies(self, graph: dict[str, Any], case: Case) -> dict[str, tuple[int, Reply | None]]:
        """What each URL of a graph leads to."""
        found: dict[str, tuple[int, Reply | None]] = {}
        for node in graph["nodes"].values():
            for step in node["steps"]:
                if "serviceUrl" in step:
                    found[step["serviceUrl"]] = self._behind(step["serviceUrl"], case)
        return found

    def _behind(self, address: str, case: Case) -> tuple[int, Reply | None]:
        for number, service in enumerate(self.services.all):
            if address == service.url or address.startswith(f"{service.url}/"):
                return number, case.replies[number]
        return SERVICES, None

    def addressed(self, graph: dict[str, Any]) -> dict[str, Any]:
        text = json.dumps(graph)
        for number in range(SERVICES + 1):
            base = self.services.all[number].url if number < SERVICES else self.nobody
            text = text.replace(url(number, ""), base)
        filled: dict[str, Any] = json.loads(text)
        return filled


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    forks, services = Ours(), Services(SERVICES)
    try:
        yield Bench(go.kserve_router(), forks, services, f"http://127.0.0.1:{closed_port()}", count())
    finally:
        services.close()
        forks.close()


# Each example starts two processes: there are a quarter as many, and no shrinking, which would take minutes.
@settings(
    max_examples=settings().max_examples // 4,
    suppress_health_check=[HealthCheck.too_slow],
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
@given(graph=graphs(), patterns=st.sampled_from(PATTERNS), requests=cases())
def test_both_routers_do_what_their_rules_say(
    bench: Bench, graph: dict[str, Any], patterns: str, requests: list[Case]
) -> None:
    filled = bench.addressed(graph)
    with Pair(bench.program, bench.forks, filled, patterns) as pair:
        for case in requests:
            for router, rules in ((pair.kserve, KSERVE), (pair.ours, OURS)):
                with suppress(contract.AmbiguousError):
                    expected = contract.outcome(filled, patterns, case.asked, bench.replies(filled, case), rules)
                    _check(bench, router, case, expected)


@pytest.mark.parametrize("rule", DIFFERENCES)
def test_a_difference_shows_in_its_example(bench: Bench, rule: str) -> None:
    example = DIFFERENCES[rule]
    graph = bench.addressed(example.graph)
    replies = bench.replies(graph, example.case)
    as_ours = contract.outcome(graph, PATTERNS[0], example.case.asked, replies, OURS)
    without = replace(OURS, **{rule: False})
    assert contract.outcome(graph, PATTERNS[0], example.case.asked, replies, without) != as_ours
    with Pair(bench.program, bench.forks, graph, PATTERNS[0]) as pair:
        as_kserve = contract.outcome(graph, PATTERNS[0], example.case.asked, replies, KSERVE)
        _check(bench, pair.kserve, example.case, as_kserve)
        _check(bench, pair.ours, example.case, as_ours)


def test_a_redirect_is_passed_on_where_kserve_follows_it(bench: Bench) -> None:
    example = DIFFERENCES["target_is_kept"]
    graph = bench.addressed(example.graph)
    bench.services.all[0].reply = Reply(302, b"{}", location="/login")
    with Pair(bench.program, bench.forks, graph, PATTERNS[0]) as pair:
        assert pair.kserve.ask(example.case.asked, "redirect").status == 500  # after ten of them
        got = pair.ours.ask(example.case.asked, "redirect")
    assert (got.status, got.headers["location"]) == (302, "/login")


def test_each_difference_has_its_example() -> None:
    assert set(DIFFERENCES) == {rule.name for rule in fields(Rules)}


def _check(bench: Bench, router: Router, case: Case, expected: Outcome) -> None:
    number = str(next(bench.numbers))
    for service, reply in zip(bench.services.all, case.replies, strict=True):
        service.reply = reply
    got = router.ask(case.asked, number)
    assert got.status == expected.status
    if expected.body is None:
        explained = json.loads(got.body)
        assert explained["cause"]
        if expected.shape == "v2":
            assert explained["error"] == explained["cause"]
        elif expected.shape:
            assert explained["error"]["message"] == explained["cause"]
        else:
            assert explained["error"] == "Failed to process request"
    else:
        assert _meaning(got.body) == _meaning(expected.body)
    _check_calls([call for call in bench.services.calls if call.headers.get("x-case") == number], expected)


def _check_calls(calls: list[Call], expected: Outcome) -> None:
    arrived = Counter((call.service, call.method, call.target, _meaning(call.body)) for call in calls)
    due = Counter((sent.service, sent.method, sent.target, _meaning(sent.body)) for sent in expected.sent)
    repeated = {sent.service for sent in expected.sent if sent.repeats}
    assert arrived.keys() <= due.keys()
    for key, times in due.items() if expected.exact else ():
        assert times <= arrived[key] <= times * (ATTEMPTS if key[0] in repeated else 1)
    for call in calls:
        given = {name: call.headers[name] for name in _COMPARED if name in call.headers}
        assert given == {name: value for name, value in expected.headers.items() if name in _COMPARED}


def _meaning(body: bytes) -> str:
    """JSON with its keys in order and its numbers as floats; anything else as it is."""
    if not is_valid_json(body):
        return repr(body)
    decoded = json.loads(body, parse_int=float)
    error = decoded.get("error") if isinstance(decoded, dict) else None
    if isinstance(error, dict) and error.get("type") == "unavailable":
        error["message"] = ""  # which names an address
    return json.dumps(decoded, sort_keys=True)
