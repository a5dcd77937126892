"""Which headers are dropped at each edge: the one table, with the reasons.

An edge is one direction of one hop. All other headers are forwarded unchanged; a header that a hop adds replaces those
of the same name. Names are bytes in lower case.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Header = tuple[bytes, bytes]

# RFC 9110 §7.6.1, and older ones that clients still send. They belong to one connection, as do those whose names are in
# ``connection``.
HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
# Which web page sent a request, said to the server that the page reached (``switchyard.http.web_access``).
_OF_THE_PAGE = frozenset((b"origin", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest", b"sec-fetch-user"))
# Our HTTP client writes the others itself, for the connection and the body that it sends.
_OF_THE_REQUEST = HOP_BY_HOP | _OF_THE_PAGE | {b"host", b"content-length", b"expect"}
# Our HTTP server writes these itself.
_OF_THE_RESPONSE = HOP_BY_HOP | {b"server", b"date"}
# They give access to the gateway, and nothing behind it checks them: models and steps elsewhere must not see them.
CREDENTIALS = frozenset((b"authorization", b"x-api-key", b"api-key", b"cookie"))
# Headers between the platform's own parts, such as a tenant's: from a client they would be forged.
INTERNAL = b"x-switchyard-"
# Who sent a request, said by the gateway: a graph's steps and models keep apart what belongs to different tenants.
TENANT = b"x-switchyard-tenant"
# The id of that request's key, as ``switchyard keys`` prints it, for the logs of all that a request passes.
KEY_ID = b"x-switchyard-key-id"
# Asks whatever a request passes for a line of it in its log, as the gateway writes one itself.
LOG = b"x-switchyard-log"
# Asks a predictor, through graphs too, for what a request used; in a response, what it used as a JSON object.
USAGE = b"x-switchyard-usage"
# In a graph's response to who asks: what steps used before the one that responds, whose own response says the rest.
USAGE_BEFORE = b"x-switchyard-usage-before"
OF_USAGE = frozenset((USAGE, USAGE_BEFORE))
# The one of them that is a client's to say: its requests with the same value stay on one tier, as with a body's
# ``prompt_cache_key``.
_OF_THE_CLIENT = frozenset((b"x-switchyard-conversation",))
# A response that has them repeats what was said to the model.
_TO_MODELS_ALONE = OF_USAGE | _OF_THE_CLIENT | {TENANT, KEY_ID, LOG, b"x-switchyard-policy"}
# V2's binary tensor extension: the number of bytes of JSON at a body's beginning, before the tensors.
JSON_LENGTH = b"inference-header-content-length"
# They describe the body that was received, not the one that replaces it.
_OF_THE_BODY = frozenset((b"content-type", b"content-length", b"content-encoding"))

_PLAIN_CONNECTION = frozenset((b"keep-alive", b"close", b"Keep-Alive", b"Close"))


@dataclass(frozen=True, slots=True)
class Edge:
    """The headers that an edge drops, by name and by prefix; ``passing`` are those that pass despite their prefix."""

    dropped: frozenset[bytes]
    prefixes: tuple[bytes, ...] = ()
    passing: frozenset[bytes] = frozenset()

    def drops(self, name: bytes) -> bool:
        """Return whether a header of this name is dropped."""
        return name in self.dropped or (name.startswith(self.prefixes) and name not in self.passing)

    def passed(self, headers: Iterable[Header], added: Sequence[Header] = ()) -> list[Header]:
        """Return the ``headers`` that pass, less those that ``connection`` names, with ``added`` in place of others."""
        dropped, prefixes, replaced, connection = self.dropped, self.prefixes, dict(added), b""
        kept = []
        for header in headers:
            name = header[0]
            if name in dropped:
                if name == b"connection" and header[1] not in _PLAIN_CONNECTION:
                    connection += b"," + header[1]
            elif name not in replaced and (not name.startswith(prefixes) or name in self.passing):
                kept.append(header)
        if connection:
            named = {token.strip().lower() for token in connection.split(b",")}
            kept = [header for header in kept if header[0] not in named]
        kept.extend(added)
        return kept


# What clients say of traces. The gateway decides what models learn of it, and adds that; baggage (W3C) and the headers
# of B3 would reach programs that take them for the operator's.
_OF_TRACES = frozenset((b"traceparent", b"tracestate", b"baggage", b"b3"))
_B3 = b"x-b3-"
# The gateway. It adds x-request-id to both directions, and the trace context of a call that has one.
CLIENT_TO_MODEL = Edge(_OF_THE_REQUEST | CREDENTIALS | _OF_TRACES, (INTERNAL, _B3), _OF_THE_CLIENT)
# The gateway says which web pages may read a response (CORS), and what is left of its own limits: a model's limits are
# not the client's. Of ``INTERNAL`` a graph's steps choose what the client learns.
_OF_THE_GATEWAY = (b"x-request-id", b"traceresponse", b"access-control-", b"x-ratelimit-", b"anthropic-ratelimit-")
MODEL_TO_CLIENT = Edge(_OF_THE_RESPONSE | _TO_MODELS_ALONE, _OF_THE_GATEWAY)
# The length of a whole response is set when it is sent, and an error event may follow what the model streamed.
MODEL_TO_STREAM = Edge(_OF_THE_RESPONSE | _TO_MODELS_ALONE | {b"content-length"}, _OF_THE_GATEWAY)
# A short form is translated for the model, and the response for the client: what the client accepts is not the model's.
FORM_TO_MODEL = Edge(
    CLIENT_TO_MODEL.dropped | _OF_THE_BODY | {b"accept", b"accept-encoding"}, (INTERNAL, _B3), _OF_THE_CLIENT
)
MODEL_TO_FORM = Edge(_OF_THE_RESPONSE | _OF_THE_BODY | _TO_MODELS_ALONE, _OF_THE_GATEWAY)

# A graph. What its steps get beyond this is chosen by PROPAGATE_HEADERS, as KServe's router does; a client may reach a
# graph only through the gateway, so what is internal comes from there and passes.
CLIENT_TO_STEP = Edge(_OF_THE_REQUEST)
STEP_TO_CLIENT = Edge(_OF_THE_RESPONSE)
# A whole body is sent with its own length: joined responses have another than any step's.
WHOLE_STEP_TO_CLIENT = Edge(_OF_THE_RESPONSE | {b"content-length"})

# Local mode's activator takes the place of Knative's, and changes no more than that does.
CLIENT_TO_REPLICA = Edge(_OF_THE_REQUEST)
REPLICA_TO_CLIENT = Edge(_OF_THE_RESPONSE)

# The vision predictor. It adds its own span's traceparent; Triton passes headers to models that others wrote. Its HTTP
# server parses a form of any path, which ends it when the form is large, and unpacks an encoded body without a limit.
CLIENT_TO_TRITON = Edge(
    _OF_THE_REQUEST | CREDENTIALS | {b"traceparent", b"content-type", b"content-encoding"}, (INTERNAL,)
)
TRITON_TO_CLIENT = Edge(_OF_THE_RESPONSE)
