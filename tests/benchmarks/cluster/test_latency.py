import sys

import pytest

from benchmarks.cluster.latency import Turn, argv_outside, at, check_free, figures_of, shares

MS = {
    "gateway": 6.0,
    "ingress": 4.0,
    "queue-proxy": 2.5,
    "predictor": 1.5,
    "gateway outside": 3.0,
    "predictor outside": 1.25,
}


def test_shares_sum_up_to_the_whole_request_on_both_sides() -> None:
    parts = shares(MS)

    assert sum(parts[name] for name in ("gateway", "ingress", "queue-proxy", "predictor")) == MS["gateway"]
    assert sum(parts[name] for name in ("gateway outside", "predictor outside")) == MS["gateway outside"]
    assert parts["ingress"] == 1.5


def test_what_the_cluster_adds_is_taken_within_each_turn() -> None:
    cpu = dict.fromkeys((*MS, "activator"), 0.5)
    slow = {name: 2 * value for name, value in MS.items()}
    figures = {
        figure.name: figure
        for figure in figures_of(
            [Turn(MS, cpu), Turn(slow, cpu)], [Turn({**MS, "ingress": 5.0, "gateway": 7.0}, cpu), Turn(slow, cpu)]
        )
    }

    assert figures["added by the cluster, without the activator"].values == (3.0, 6.0)
    assert figures["added by the cluster, with it (Knative's default)"].values == (4.0, 6.0)
    assert figures["share of activator, when in the path"].values == (1.0, 0.0)


def test_a_container_runs_outside_with_its_own_flags_and_this_machines_ports() -> None:
    container = {
        "name": "kserve-container",
        "command": ["python", "-m", "predictors.llm"],
        "args": ["--http_port=8080", "--runner=pooling", "--enforce-eager"],
    }

    argv = argv_outside(container, {"--http_port": 1234})

    assert argv == [sys.executable, "-m", "predictors.llm", "--http_port=1234", "--runner=pooling", "--enforce-eager"]
    with pytest.raises(ValueError, match="tritonserver"):
        argv_outside({**container, "command": ["tritonserver"]}, {})


def test_a_request_for_a_virtual_host_goes_to_the_ingress_and_names_the_host() -> None:
    request = at("http://10.96.0.80", "/openai/tokenize", "embed-predictor.switchyard-dev.svc.cluster.local")

    assert (request.host, request.port) == ("10.96.0.80", 80)
    assert request.wire.startswith(b"POST /openai/tokenize HTTP/1.1\r\nhost: embed-predictor.switchyard-dev.svc.")


def test_an_activator_that_works_where_it_should_not_be_is_told() -> None:
    idle, busy = Turn(MS, {"activator": 0.04}), Turn(MS, {"activator": 1.0})

    check_free([idle, idle], [busy, busy])
    with pytest.raises(RuntimeError, match=r"does not follow a change of autoscaling\.knative\.dev/target"):
        check_free([idle, busy, busy], [busy, busy, busy])
