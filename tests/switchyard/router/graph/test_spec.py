"""What an InferenceGraph's spec says, and what is said of one that cannot be read."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.router.graph.spec import Graph, GraphError, RouterTimeouts, Step, parse

URL = "http://chat.lab.svc.cluster.local/v1"


def graph_of(*steps: object, kind: str = "Sequence", **more: object) -> Graph:
    return parse(json.dumps({"nodes": {"root": {"routerType": kind, "steps": list(steps)}}, **more}))


def step_of(**fields: object) -> Step:
    return graph_of({"serviceUrl": URL, **fields}).nodes["root"].steps[0]


def problems_of(text: str | bytes) -> list[str]:
    with pytest.raises(GraphError) as caught:
        parse(text)
    assert str(caught.value) == "\n".join(map(str, caught.value.problems))
    return str(caught.value).splitlines()


def test_every_field_of_a_step_is_read() -> None:
    step = step_of(
        name="chat",
        serviceName="chat",
        condition="model",
        data="$response",
        weight=30,
        dependency="Hard",
        mapPredictionsToInstances=True,
    )
    assert step.condition is not None
    assert step.condition.holds(b'{"model":1}')
    assert (step.name, step.url, step.service, step.node) == ("chat", URL, "chat", None)
    assert (step.condition_text, step.data, step.uses_response) == ("model", "$response", True)
    assert (step.weight, step.hard, step.maps_predictions) == (30, True, True)


def test_a_bare_step_is_soft_and_gets_the_request() -> None:
    step = step_of()
    assert (step.name, step.hard, step.uses_response, step.condition, step.weight) == ("", False, False, None, None)


def test_null_and_empty_are_the_same_as_absent() -> None:
    step = step_of(name=None, condition="", nodeName="", dependency=None, weight=None)
    assert step == step_of()


def test_a_step_may_lead_to_a_node() -> None:
    graph = graph_of({"nodeName": "next"})
    assert graph.nodes["root"].steps[0].node == "next"


def test_keys_that_are_no_business_of_a_router_are_ignored() -> None:
    graph = graph_of({"serviceUrl": URL, "future": 1}, minReplicas=0, resources={"limits": {}}, timeout="x")
    assert list(graph.nodes) == ["root"]


def test_time_limits_default_to_those_of_kserve() -> None:
    assert graph_of().timeouts == RouterTimeouts(server_read=60, server_write=60, server_idle=180, service_client=None)
    given = {"serverRead": 1, "serverWrite": 2, "serverIdle": 3, "serviceClient": 4}
    expected = RouterTimeouts(server_read=1, server_write=2, server_idle=3, service_client=4)
    assert graph_of(routerTimeouts=given).timeouts == expected


def test_a_graph_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        graph_of().nodes["root"] = None  # type: ignore[index]


@pytest.mark.parametrize("text", ["", "{", "nodes: {}", b"\xff"])
def test_what_is_no_json_is_called_so(text: str | bytes) -> None:
    (problem,) = problems_of(text)
    assert problem.startswith("error: graph: it is not JSON (")


def test_every_problem_is_reported_with_its_place() -> None:
    spec = {
        "nodes": {
            "root": {
                "routerType": "Swich",
                "steps": [{"name": 5}, {"name": "b", "weight": "50", "dependency": "Firm"}, 7],
            },
            "bare": {},
            "odd": [],
        },
        "routerTimeouts": {"serverRead": 1.5},
    }
    assert problems_of(json.dumps(spec)) == [
        'error: node "root": routerType is "Swich"; set Sequence, Switch, Splitter or Ensemble',
        'error: node "root", step 1: name is 5; it must be a string',
        'error: node "root", step 2 "b": dependency is "Firm"; set Soft or Hard',
        'error: node "root", step 2 "b": weight is "50"; it must be a whole number',
        'error: node "root", step 3: it is 7; it must be an object',
        'error: node "bare": routerType is missing; set Sequence, Switch, Splitter or Ensemble',
        'error: node "odd": it is []; it must be an object',
        'error: node "odd": routerType is missing; set Sequence, Switch, Splitter or Ensemble',
        "error: routerTimeouts: serverRead is 1.5; it must be a whole number",
    ]


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(allow_nan=False)
    | st.sampled_from(("Switch", "root", "$response")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("nodes", "root", "steps", "routerType", "weight", "name", "routerTimeouts")), inner
        )
    ),
)


@given(spec=_JSON)
def test_any_json_is_read_or_rejected_with_reasons(spec: object) -> None:
    with contextlib.suppress(GraphError):
        parse(json.dumps(spec))
