"""Every way in which we differ from two of nginx, HAProxy and Envoy, with its argument.

docs/concepts/protocols.md shows this table. What splits requests in another way than two others do has no row.
"""

from collections.abc import Mapping, Sequence

from tests.differential.cases import Case
from tests.differential.comparing import Difference, rejecting
from tests.differential.running import Outcomes

_BARE_LF = "A bare LF ends no line: readers who count it and readers who do not split differently (RFC 9112 §2.2)."
_SPACE = "One space stands between the parts of a request line (RFC 9112 §3)."
_TRAILERS = "Trailers with the names of framing are an attack on whoever merges them (RFC 9110 §6.5.1)."
_CHUNK_LINE = "Blanks behind a chunk's size, and extensions without a name, are no grammar (RFC 9112 §7.1)."

# What they pass on and we reject, by what our response says.
STRICTER: Mapping[str, str] = {
    "Invalid method encountered": "llhttp knows the registered methods, and no route of ours has another.",
    "the method is not served": "No route of ours has another method; 501 says so before any body is read.",
    "Expected space after method": _SPACE,
    "Invalid characters in url": _SPACE,
    "Expected CRLF after version": _BARE_LF,
    "Missing expected CR after header value": _BARE_LF,
    "Invalid header field char": _BARE_LF,
    "Missing expected CR after chunk size": _BARE_LF,
    "Missing expected CR after chunk extension name": _BARE_LF,
    "Missing expected LF after header value": "A CR within a line is rejected (RFC 9112 §2.2), CR CR LF too.",
    "Missing expected CR after chunk data": "A chunk that ends with LF, or is longer than it says, has lost its frame.",
    "Unexpected whitespace after header value": "Folding is gone (RFC 9112 §5.2): some see a header of its own.",
    "Invalid header value char": "Control characters in values are rejected (RFC 9110 §5.5), as are folded empty ones.",
    "Invalid HTTP version": "A minor version that does not exist is not taken for 1.1; no client sends one.",
    "HTTP/2.0 is not served like this: use HTTP/1.1, or HTTP/2": "Another major version is 505 (RFC 9110 §15.6.6).",
    "HTTP/1.0 has no transfer codings: send a content-length, or use HTTP/1.1": "Faulty framing by RFC 9112 §6.1.",
    "Request has invalid `Transfer-Encoding`": "A tab behind the coding is legal and odd: rejected, not guessed.",
    "Content-Length can't be present with Transfer-Encoding": _TRAILERS,
    "Invalid `Transfer-Encoding` header value": _TRAILERS,
    "Data after `Connection: close`": "A trailer that closes the connection is obeyed, not passed over.",
    "Invalid character in chunk size": _CHUNK_LINE,
    "Invalid character in chunk extensions": _CHUNK_LINE,
    "Invalid character in chunk extensions name": "Control characters in extensions are no tokens (RFC 9112 §7.1.1).",
    "Invalid character in chunk extensions quoted value": "Who reads on to the next quote loses the frame.",
    "Expected HTTP/, RTSP/ or ICE/": "HTTP/0.9 has no headers: its responses look like anything.",
    "a request has exactly one host header, not 0": "RFC 9112 §3.2 asks for 400, though a host is in the target.",
    "a request has exactly one host header, not 2": "RFC 9112 §3.2 asks for 400, though both say the same.",
    "the host header is neither a name nor an address, with a port or without": "RFC 9112 §3.2 asks for 400.",
    "the target of a request is a path, or a URL of http or https": "Other schemes and users are no requests to us.",
    "": "A response to HEAD has no body that could say why: it is one of the others.",
}
# What they reject and we pass on, or go on behind, by the oddity.
LAXER: Mapping[str, str] = {
    "target *": "404 and not passed on; its frame is in no doubt, so the connection goes on.",
    "target absolute without a path": "An empty path is / (RFC 9110 §4.2.3), as nginx has it.",
}
SEVERAL = "several oddities"
ARGUMENTS: Mapping[str, str] = {
    **STRICTER,
    **LAXER,
    SEVERAL: "Each of them rejects it for an oddity that alone only it rejects.",
}


def row_of(case: Case, found: Difference, outcomes: Outcomes, alone: Mapping[str, Sequence[str]]) -> str | None:
    """The row of ``ARGUMENTS`` for a difference, None without one.

    ``alone`` are the peers that reject an oddity which comes by itself.
    """
    if found.kind == "stricter":
        return found.reason if found.reason in STRICTER else None
    if found.kind == "split":
        return None
    for oddity in case.oddities:
        if oddity in LAXER:
            return oddity
    explained = [any(peer in alone.get(one, ()) for one in case.oddities) for peer in rejecting(outcomes)]
    return SEVERAL if len(case.oddities) > 1 and all(explained) else None
