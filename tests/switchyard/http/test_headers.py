"""Every edge crossed with every header that some edge keeps back."""

import pytest

from switchyard.http import headers as table
from switchyard.http.headers import Edge, Header

HOP = (
    *(b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade"),
    *(b"proxy-authenticate", b"proxy-authorization", b"proxy-connection"),
)
REQUEST = (b"host", b"content-length", b"expect", b"origin", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest")
SECRETS = (b"authorization", b"x-api-key", b"api-key", b"cookie")
BODY = (b"content-type", b"content-length", b"content-encoding")
INTERNAL = (
    *(b"x-switchyard-tenant", b"x-switchyard-policy", b"x-switchyard-", b"x-switchyard-tier", b"x-switchyard-own"),
    *(b"x-switchyard-usage", b"x-switchyard-usage-before"),
)
CORS = (b"access-control-allow-origin", b"access-control-allow-credentials")
RATES = (b"x-ratelimit-remaining-requests", b"anthropic-ratelimit-tokens-limit")
TOLD = (b"x-switchyard-tenant", b"x-switchyard-policy", b"x-switchyard-conversation")
USAGE = (b"x-switchyard-usage", b"x-switchyard-usage-before")
TRACES = (b"traceparent", b"tracestate", b"baggage", b"b3", b"x-b3-sampled")
OF_MODELS = (b"x-request-id", b"traceresponse", *CORS, *RATES, *TOLD, *USAGE)
OTHERS = (
    *(b"traceresponse", b"x-request-id", b"accept", b"accept-encoding", b"user-agent", b"server", b"date"),
    *(b"set-cookie", b"retry-after", b"x-switchyard", b"via", b"inference-header-content-length"),
)
CONVERSATION = b"x-switchyard-conversation"  # a client's to say, for the steps of graphs
HEADERS = sorted({CONVERSATION, *HOP, *REQUEST, *SECRETS, *BODY, *INTERNAL, *CORS, *RATES, *TRACES, *OTHERS})

STAYS_BEHIND: dict[str, tuple[bytes, ...]] = {
    "CLIENT_TO_MODEL": (*HOP, *REQUEST, *SECRETS, *INTERNAL, *TRACES),
    "MODEL_TO_CLIENT": (*HOP, b"server", b"date", *OF_MODELS),
    "MODEL_TO_STREAM": (*HOP, b"server", b"date", b"content-length", *OF_MODELS),
    "FORM_TO_MODEL": (*HOP, *REQUEST, *SECRETS, *INTERNAL, *TRACES, *BODY, b"accept", b"accept-encoding"),
    "MODEL_TO_FORM": (*HOP, b"server", b"date", *BODY, *OF_MODELS),
    "CLIENT_TO_STEP": (*HOP, *REQUEST),
    "STEP_TO_CLIENT": (*HOP, b"server", b"date"),
    "WHOLE_STEP_TO_CLIENT": (*HOP, b"server", b"date", b"content-length"),
    "CLIENT_TO_REPLICA": (*HOP, *REQUEST),
    "REPLICA_TO_CLIENT": (*HOP, b"server", b"date"),
    "CLIENT_TO_TRITON": (
        *(*HOP, *REQUEST, *SECRETS, *INTERNAL, CONVERSATION),
        *(b"traceparent", b"content-type", b"content-encoding"),
    ),
    "TRITON_TO_CLIENT": (*HOP, b"server", b"date"),
}


def edge(name: str) -> Edge:
    found = getattr(table, name)
    assert isinstance(found, Edge)
    return found


def test_this_table_has_every_edge() -> None:
    assert {name for name, value in vars(table).items() if isinstance(value, Edge)} == set(STAYS_BEHIND)


@pytest.mark.parametrize("header", HEADERS, ids=bytes.decode)
@pytest.mark.parametrize("name", STAYS_BEHIND)
def test_a_header_passes_an_edge_or_stays_behind(name: str, header: bytes) -> None:
    expected = [] if header in STAYS_BEHIND[name] else [(header, b"close")]
    assert edge(name).passed([(header, b"close")]) == expected  # `connection: close` names no other header
    assert edge(name).drops(header) == (not expected)


@pytest.mark.parametrize("name", STAYS_BEHIND)
def test_no_edge_passes_what_connection_names(name: str) -> None:
    headers = [(b"connection", b"Close, X-One"), (b"x-one", b"1"), (b"x-two", b"2"), (b"connection", b"x-three")]
    assert edge(name).passed([*headers, (b"x-three", b"3")]) == [(b"x-two", b"2")]


@pytest.mark.parametrize("name", STAYS_BEHIND)
def test_what_a_hop_adds_replaces_what_came_and_is_not_for_connection_to_name(name: str) -> None:
    came: list[Header] = [(b"x-request-id", b"theirs"), (b"x-two", b"2"), (b"connection", b"x-request-id")]
    added = [(b"x-request-id", b"ours"), (b"server", b"added even where one is dropped")]
    assert edge(name).passed(came, added) == [(b"x-two", b"2"), *added]


def test_headers_pass_in_their_order_with_repeats() -> None:
    came = [(b"set-cookie", b"a"), (b"x-two", b"2"), (b"set-cookie", b"b")]
    assert table.MODEL_TO_CLIENT.passed(came) == came
