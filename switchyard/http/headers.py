"""Which headers stay behind at each edge: the one table, with the reasons.

An edge is one direction of one hop. Everything else passes as it came; what a hop adds replaces what came under the
same name. Names are bytes in lower case.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Header = tuple[bytes, bytes]

# RFC 9110 §7.6.1, and those that clients still send: they are about one connection. So is what `connection` names.
HOP_BY_HOP = frozenset(
    (
        *(b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade"),
        *(b"proxy-authenticate", b"proxy-authorization", b"proxy-connection"),
    )
)
# Our HTTP client writes these itself, for the connection and the body that it sends.
_OF_THE_REQUEST = HOP_BY_HOP | {b"host", b"content-length", b"expect"}
# Our HTTP server writes these itself.
_OF_THE_RESPONSE = HOP_BY_HOP | {b"server", b"date"}
# They open the gateway, and nothing behind it checks them: a model's log or a step elsewhere must not learn them.
CREDENTIALS = frozenset((b"authorization", b"x-api-key", b"cookie"))
# What the platform says of a request to its own parts, such as a tenant: from a client it would be a forgery.
INTERNAL = b"x-switchyard-"
# True of the body as it came, and not of the one that is written in its place.
_OF_THE_BODY = frozenset((b"content-type", b"content-length", b"content-encoding"))

_PLAIN_CONNECTION = frozenset((b"keep-alive", b"close", b"Keep-Alive", b"Close"))


@dataclass(frozen=True, slots=True)
class Edge:
    """Headers that stay behind, by name and by the beginning of their name."""

    dropped: frozenset[bytes]
    prefixes: tuple[bytes, ...] = ()

    def drops(self, name: bytes) -> bool:
        """Say whether a header of this name stays behind."""
        return name in self.dropped or name.startswith(self.prefixes)

    def passed(self, headers: Iterable[Header], added: Sequence[Header] = ()) -> list[Header]:
        """Return those of ``headers`` that pass, less what ``connection`` names, and ``added`` in place of theirs."""
        dropped, prefixes, connection = self.dropped, self.prefixes, b""
        kept = []
        for header in headers:
            name = header[0]
            if name == b"connection" and header[1] not in _PLAIN_CONNECTION:
                connection += b"," + header[1]
            elif name not in dropped and not name.startswith(prefixes):
                kept.append(header)
        if connection or added:
            replaced = {token.strip().lower() for token in connection.split(b",")}
            replaced.update([name for name, _ in added])
            kept = [header for header in kept if header[0] not in replaced]
            kept.extend(added)
        return kept


# The gateway. It adds x-request-id to both directions, and traceparent where a span continues the client's.
CLIENT_TO_MODEL = Edge(_OF_THE_REQUEST | CREDENTIALS, (INTERNAL,))
# Which web pages may read a response (CORS) is the gateway's to say.
_OF_THE_GATEWAY = (b"x-request-id", b"access-control-")
MODEL_TO_CLIENT = Edge(_OF_THE_RESPONSE, _OF_THE_GATEWAY)
# The length of a whole response is set when it is sent, and an error event may follow what the model streamed.
MODEL_TO_STREAM = Edge(_OF_THE_RESPONSE | {b"content-length"}, _OF_THE_GATEWAY)
# A short form is written anew for the model, and its response for the client: what either accepts is no longer asked.
FORM_TO_MODEL = Edge(CLIENT_TO_MODEL.dropped | _OF_THE_BODY | {b"accept", b"accept-encoding"}, (INTERNAL,))
MODEL_TO_FORM = Edge(_OF_THE_RESPONSE | _OF_THE_BODY, _OF_THE_GATEWAY)

# A graph. What its steps get beyond this is chosen by PROPAGATE_HEADERS, as KServe's router does; a client may reach a
# graph only through the gateway, so what is internal comes from there and passes.
CLIENT_TO_STEP = Edge(_OF_THE_REQUEST)
STEP_TO_CLIENT = Edge(_OF_THE_RESPONSE)
# A body that is all here is sent with its own length: joined responses have another than any step's.
WHOLE_STEP_TO_CLIENT = Edge(_OF_THE_RESPONSE | {b"content-length"})

# Local mode's activator stands where Knative's does, and changes no more than that.
CLIENT_TO_REPLICA = Edge(_OF_THE_REQUEST)
REPLICA_TO_CLIENT = Edge(_OF_THE_RESPONSE)

# The vision predictor. It adds its own span's traceparent; Triton hands headers to models that others wrote.
CLIENT_TO_TRITON = Edge(_OF_THE_REQUEST | CREDENTIALS | {b"traceparent"}, (INTERNAL,))
TRITON_TO_CLIENT = Edge(_OF_THE_RESPONSE)
