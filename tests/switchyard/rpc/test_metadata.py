"""Which field crosses which edge: one table, edge by key."""

import pytest

from switchyard.rpc.metadata import TO_ENGINE, TO_MODEL, TO_REPLICA, Edge, forwarded, value_of

EDGES = {"model": TO_MODEL, "replica": TO_REPLICA, "engine": TO_ENGINE}

# What a field reaches: a model's server from the gateway, a replica from local mode's activator, a predictor's engine.
TABLE = {
    b"authorization": "replica",
    b"proxy-authorization": "replica",
    b"x-api-key": "replica",
    b"cookie": "replica",
    b"x-switchyard-tenant": "replica",
    b"traceparent": "model replica",  # the engine gets that of the predictor's own span
    b"tracestate": "model replica engine",
    b"baggage": "model replica engine",
    b"x-request-id": "model replica engine",
    b"triton-request-bin": "model replica engine",
    b"user-agent": "",
    b"host": "",
    b"te": "",
    b"content-type": "",
    b"grpc-timeout": "",
    b"grpc-encoding": "",
    b":authority": "",
}


@pytest.mark.parametrize("to", EDGES)
@pytest.mark.parametrize("name", TABLE, ids=lambda name: name.decode())
def test_a_field_crosses_an_edge_or_stays_behind(name: bytes, to: str) -> None:
    edge, crosses = EDGES[to], to in TABLE[name].split()
    kept = [(name, b"2")] if crosses else []
    assert edge.passes(name) is crosses
    assert edge.onward([(b"first", b"1"), (name, b"2"), (b"last", b"3")]) == [(b"first", b"1"), *kept, (b"last", b"3")]
    assert forwarded([(name.decode(), "2")], edge) == [(key.decode(), value.decode()) for key, value in kept]


def test_the_first_of_several_values_is_found() -> None:
    fields = [(b"a", b"1"), (b"b", b"2"), (b"b", b"3")]
    assert (value_of(fields, b"b"), value_of(fields, b"c")) == (b"2", None)


def test_an_edge_of_its_own_can_be_drawn() -> None:
    assert Edge(dropped=frozenset((b"a",)), prefixes=(b"x-",)).onward([(b"a", b""), (b"x-b", b""), (b"c", b"")]) == [
        (b"c", b"")
    ]
