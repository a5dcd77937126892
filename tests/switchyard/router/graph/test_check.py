"""What is found wrong with graphs, and where it is said to be."""

from itertools import pairwise
from typing import Any

import pytest

from switchyard.router.graph.check import MAX_DEPTH, examine, require
from switchyard.router.graph.spec import GraphError, read
from switchyard.router.header_propagation import examine_headers

URL = "http://chat.lab.svc.cluster.local/v1"
TO = {"serviceUrl": URL}


def node(kind: str, *steps: dict[str, Any]) -> dict[str, Any]:
    return {"routerType": kind, "steps": list(steps)}


def told(*, rendered: bool = False, **nodes: dict[str, Any]) -> list[str]:
    return told_of(nodes, rendered=rendered)


def told_of(nodes: dict[str, dict[str, Any]], *, rendered: bool = False) -> list[str]:
    return [str(problem) for problem in examine(read({"nodes": nodes}), rendered=rendered)]


def test_a_good_graph_has_no_problems() -> None:
    assert (
        told(
            root=node(
                "Switch",
                {"name": "code", "nodeName": "code", "condition": '[@this].#(model=="code")'},
                {"name": "rest", "serviceName": "chat", "condition": "model"},
            ),
            code=node("Sequence", {**TO, "dependency": "Hard"}, {**TO, "condition": "tier", "data": "$response"}),
        )
        == []
    )


def test_a_graph_needs_a_root() -> None:
    assert told(rooot=node("Sequence", TO)) == [
        "error: graph: no node is named root, where requests start (nodes: rooot); name one root",
        'warning: node "rooot": no step leads to it; remove it, or name it in a step\'s nodeName',
    ]


def test_steps_are_needed() -> None:
    assert told(root=node("Sequence")) == ['error: node "root": it has no steps; add one']


def test_cycles_are_drawn() -> None:
    (problem,) = told(
        root=node("Sequence", {"nodeName": "a"}),
        a=node("Sequence", TO, {"nodeName": "b"}),
        b=node("Ensemble", {"nodeName": "a"}),
    )
    assert problem.startswith('error: node "b": requests loop forever: "a" -> "b" -> "a"; ')


def test_a_node_that_leads_to_itself_is_a_cycle() -> None:
    (problem,) = told(root=node("Sequence", {"nodeName": "root"}))
    assert '"root" -> "root"' in problem


def test_two_ways_to_one_node_are_no_cycle() -> None:
    way = {"nodeName": "end"}
    assert told(root=node("Ensemble", {"nodeName": "a"}, way), a=node("Sequence", way), end=node("Sequence", TO)) == []


def chain(length: int) -> dict[str, dict[str, Any]]:
    """A graph whose root leads through ``length`` nodes, itself included."""
    names = ["root", *(f"n{index}" for index in range(1, length))]
    nodes = {name: node("Sequence", {"nodeName": below}) for name, below in pairwise(names)}
    return {**nodes, names[-1]: node("Sequence", TO)}


def test_a_chain_of_as_many_nodes_as_can_be_built_is_fine_and_a_longer_one_is_not() -> None:
    assert told_of(chain(MAX_DEPTH)) == []
    for length in (MAX_DEPTH + 1, 3000):
        (problem,) = told_of(chain(length))
        assert problem.startswith(f'error: graph: the way from root to node "n{MAX_DEPTH}" leads through more than')


def test_many_nodes_beside_each_other_are_no_chain() -> None:
    names = [f"n{index}" for index in range(500)]
    nodes = {name: node("Sequence", TO, {"nodeName": "end"}) for name in names}
    root = node("Ensemble", *({"nodeName": name} for name in names))
    assert told_of({"root": root, **nodes, "end": node("Sequence", TO)}) == []


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        ({}, "it leads nowhere; set nodeName, serviceName or serviceUrl"),
        ({**TO, "serviceName": "chat"}, "serviceName and serviceUrl are set; keep one of them"),
        ({**TO, "nodeName": "root2"}, "nodeName and serviceUrl are set; keep one of them"),
        ({"nodeName": "nowhere"}, 'there is no node "nowhere" (nodes: root, root2); correct nodeName'),
        ({"serviceUrl": "chat.lab/v1"}, "does not begin with http:// or https://"),
        ({"serviceUrl": "http:///v1"}, "names no host"),
        ({"serviceUrl": "http://chat:0"}, "has port 0"),
        ({"serviceUrl": "http://chat:99999"}, "is no URL"),
        ({"serviceUrl": "http://[::1/v1"}, "is no URL"),
        ({"serviceUrl": "http://chat /v1"}, "has blanks"),
        ({"serviceUrl": "http://chät/v1"}, "not ASCII"),
        (
            {**TO, "condition": "tier"},
            "tested on the previous step's response, and there is none; move it to a later step",
        ),
    ],
)
def test_a_step_that_cannot_work_is_an_error(step: dict[str, Any], problem: str) -> None:
    errors = [
        line for line in told(root=node("Sequence", step), root2=node("Sequence", TO)) if line.startswith("error")
    ]
    assert any(line.startswith('error: node "root", step 1: ') and problem in line for line in errors), errors


@pytest.mark.parametrize(
    "url", ["http://chat", "https://chat:8443/v1?a=b", "http://[::1]:80/", "http://10.0.0.1/v2/models/m/infer"]
)
def test_urls_of_services_are_fine(url: str) -> None:
    assert told(root=node("Sequence", {"serviceUrl": url})) == []


def test_what_kserve_renders_has_name_and_url() -> None:
    step = {**TO, "serviceName": "chat"}
    assert told(rendered=True, root=node("Sequence", step)) == []
    (problem,) = told(rendered=True, root=node("Sequence", {"serviceName": "chat"}))
    assert "the service chat has no URL yet" in problem


def test_names_of_steps_are_their_own() -> None:
    twice = {**TO, "name": "a"}
    assert told(root=node("Ensemble", twice, twice, TO)) == [
        'error: node "root": 2 steps are named "a"; give each its own name'
    ]


def test_weights_add_up_to_a_hundred() -> None:
    assert told(root=node("Splitter", {**TO, "weight": 20}, {**TO, "weight": 70})) == [
        'error: node "root": its weights add up to 90; make them 100'
    ]
    assert told(root=node("Splitter", {**TO, "weight": 120}, {**TO, "weight": -20})) == [
        'error: node "root", step 2: its weight is -20; set a share from 0 to 100'
    ]
    assert told(root=node("Splitter", {**TO, "weight": 100}, {**TO, "name": "b"})) == [
        'error: node "root", step 2 "b": it has no weight; set its share of requests in percent'
    ]
    assert told(root=node("Splitter", {**TO, "weight": 100}, {**TO, "weight": 0})) == []


def test_a_switch_needs_conditions_and_warns_without_a_default() -> None:
    (problem,) = told(root=node("Switch", {**TO, "condition": "model"}, TO))
    assert problem.startswith('error: node "root", step 2: without a condition it is never chosen')
    (problem,) = told(root=node("Switch", {**TO, "condition": '[@this].#(model=="a")'}))
    assert problem.startswith('warning: node "root": no default: a body that matches no condition gets a 404')


def test_a_condition_that_always_holds_hides_what_comes_after_it() -> None:
    (problem,) = told(root=node("Switch", {**TO, "condition": "@this"}, {**TO, "condition": "model"}))
    assert "holds for every body, so later steps are never chosen" in problem
    assert told(root=node("Switch", {**TO, "condition": "model"}, {**TO, "condition": "@this"})) == []


@pytest.mark.parametrize(
    ("condition", "severity", "reason"),
    [
        ('model=="code"', "error", "compares outside a query"),
        ("model == code", "error", "compares outside a query"),
        ('[@this].#(model=="code"', "error", "has a query that is not closed"),
        ('[@this.#(model=="code")', "error", "has a [ that is not closed"),
        ("{ .input.userId == 1 }", "warning", "builds a value, so it holds for every body"),
        ("$.model", "warning", "is JSONPath"),
        ("@thsi.model", "warning", "begins with no modifier"),
    ],
)
def test_a_condition_that_can_hardly_be_meant_is_named(condition: str, severity: str, reason: str) -> None:
    problems = told(root=node("Switch", {**TO, "condition": condition}, {**TO, "condition": "model"}))
    assert any(line.startswith(f'{severity}: node "root", step 1: ') and reason in line for line in problems), problems


@pytest.mark.parametrize(
    "condition",
    [
        '[@this].#(model=="a=b")',
        'messages.#(role=="user")#|#',
        "a\\=b",
        '[model,user].#(%"a*")',
        'tools.#(function.name=="f").function',
        "messages.#",
        '@keys.#(=="model")',
        "@dig:#(a==1)|0",
    ],
)
def test_a_condition_that_is_meant_is_left_alone(condition: str) -> None:
    assert told(root=node("Switch", {**TO, "condition": condition}, {**TO, "condition": "model"})) == []


@pytest.mark.parametrize(
    ("kind", "fields", "name"),
    [
        ("Ensemble", {"condition": "model"}, "condition"),
        ("Sequence", {"weight": 100}, "weight"),
        ("Switch", {"data": "$response", "condition": "model"}, "data"),
        ("Ensemble", {"mapPredictionsToInstances": True}, "mapPredictionsToInstances"),
    ],
)
def test_a_field_without_effect_is_a_warning(kind: str, fields: dict[str, Any], name: str) -> None:
    problem = f'warning: node "root", step 1: {name} has no effect in a {kind}; remove it'
    assert told(root=node(kind, {**TO, **fields})) == [problem]


def test_data_means_the_response_or_the_request() -> None:
    problems = told(root=node("Sequence", {**TO, "data": "$response"}, {**TO, "data": "$response.predictions"}))
    assert problems == [
        'warning: node "root", step 1: data: $response has no effect on the first step; remove it',
        "warning: node \"root\", step 2: data is '$response.predictions', which has the effect of $request; "
        "write $response or $request",
    ]


def test_a_router_starts_though_a_node_that_nobody_reaches_is_broken() -> None:
    graph = read({"nodes": {"root": node("Sequence", TO), "left": node("Sequence")}})
    assert [problem.severity for problem in require(graph)] == ["warning", "warning"]
    assert [problem.severity for problem in examine(graph)] == ["error", "warning"]


def test_a_router_does_not_start_with_a_graph_that_cannot_work() -> None:
    with pytest.raises(GraphError, match='node "root": it has no steps') as caught:
        require(read({"nodes": {"root": node("Sequence"), "left": node("Sequence", TO)}}))
    assert [problem.severity for problem in caught.value.problems] == ["error"]


def test_header_patterns_are_checked() -> None:
    assert examine_headers("Authorization,^X-Request-Id$") == ()
    (problem,) = examine_headers("*Trace-Id*")
    assert str(problem).startswith("error: PROPAGATE_HEADERS: the header pattern '*Trace-Id*' ")
