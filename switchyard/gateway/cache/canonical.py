"""Which requests are equal: the same model, and everything that changes its response.

What a request to a language model may say is vLLM's; ``tests/switchyard/gateway/cache/test_canonical.py`` goes through
its fields one by one. A field that nobody knows is in the key: an engine may read it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

import orjson

from switchyard.gateway.routes.table import Route
from switchyard.http.json_cost import is_cheap

FORMAT = 1  # of keys and of what is kept under them; another one misses all that is there
SAMPLING = frozenset(("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"))
ITEMS = "/v1/embeddings"
POOLING = frozenset((ITEMS, "/pooling", "/v1/score", "/v1/rerank"))
_FORMS = frozenset(("/v1/llm/chat", "/generate", "/v1/chat/{model}", "/v1/code/{model}"))
_IMAGES = frozenset(
    (
        "/v1/ocr",
        "/v1/vision/{model}",
        "/v1/models/{model}:predict",
        "/v2/models/{model}/infer",
        "/v2/models/{model}/versions/{version}/infer",
    )
)
CACHED = SAMPLING | POOLING | _FORMS | _IMAGES
_RESPONSES = "/v1/responses"
# Who asks, by which name, how soon, and where the engine keeps what it computed: none of it changes what is said.
# ``cache_salt`` keeps apart what may be found out by the time of a response, within a tenant too: it is in the key.
IRRELEVANT = frozenset(
    (
        "metadata",
        "model",  # the resolved one is in the key
        "priority",
        "prompt_cache_key",
        "request_id",
        "safety_identifier",
        "service_tier",
        "session_id",
        "user",
    )
)
# Those that a response of OpenAI's Responses API repeats (vLLM's ``ResponsesResponse.from_request``).
REPEATED = frozenset(("metadata", "prompt_cache_key", "safety_identifier", "service_tier", "user"))
# They say in which form a response comes; the rest says what is in it.
FORM = frozenset(("stream", "stream_interval", "stream_options"))
_LEFT_OUT, _LEFT_OUT_OF_RESPONSES = IRRELEVANT | FORM, (IRRELEVANT - REPEATED) | FORM
# They hand state to a request or ask that some be kept: another request, or the same one later, gets something else.
STATEFUL: Mapping[str, frozenset[Any]] = {
    "background": frozenset((None, False)),
    "conversation": frozenset((None,)),
    "ec_transfer_params": frozenset((None,)),
    "kv_transfer_params": frozenset((None,)),
    "previous_input_messages": frozenset((None,)),
    "previous_response_id": frozenset((None,)),
    "store": frozenset((None, False)),
}
# What is behind a URL may be another image tomorrow; one within the request is in the key.
_REMOTE = re.compile(rb'url"\s*:\s*"(?!data:)')
_SEQUENCE = b'"sequence_id"'  # of V2: Triton keeps state between the requests of a sequence
# Headers that decide on the response of a model that is sent images: which form it has, and where its JSON ends.
_OF_IMAGES = (b"accept", b"accept-encoding", b"content-type", b"inference-header-content-length")
_FUNCTIONS = ("function", "custom", None)
_EPSILON = 1e-5  # vLLM's ``_SAMPLING_EPS``: a lower temperature is greedy
# Integers of 19 digits may not fit 64 bits, and orjson then makes a float of them, which two of them may share.
_LONG_NUMBER = re.compile(rb"\d{19}")

Reason = Literal["route", "stateful", "remote", "sampled"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """What responds: the model's name, its ``revision``, and the tenant whose own it is, empty if all share it."""

    model: str
    revision: str
    owner: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """The name of a request in the cache: ``content`` says what is asked, ``form`` in which form."""

    content: str
    form: str

    @property
    def name(self) -> str:
        """The name under which the response is recorded."""
        return f"cache:{self.content}/{self.form}"

    def in_form(self, form: str) -> "Key":
        """Return the key of the same request in another form."""
        return Key(content=self.content, form=form)


PLAIN = "plain"


def is_deterministic(payload: Mapping[str, Any]) -> bool:
    """Whether a language model gives the same output each time: it is greedy, or its one choice has a seed."""
    temperature = payload.get("temperature")
    if isinstance(temperature, int | float) and 0 <= temperature < _EPSILON:
        return True
    seed = payload.get("seed")
    # vLLM takes -1 for none.
    return isinstance(seed, int) and seed != -1 and payload.get("n") in (None, 1)


def is_stateful(payload: Mapping[str, Any]) -> bool:
    """Whether the response depends on more than the request, or leaves something behind."""
    if any(_is_set(payload[name], unset) for name, unset in STATEFUL.items() if name in payload):
        return True
    tools = payload.get("tools")
    return isinstance(tools, list) and any(map(_is_run_by_server, tools))


def _is_run_by_server(tool: object) -> bool:
    """Whether a tool is one such as a search, and no function of the client's; Anthropic's of these have no type."""
    return isinstance(tool, dict) and tool.get("type", "function") not in _FUNCTIONS


def _is_set(value: Any, unset: frozenset[Any]) -> bool:
    return isinstance(value, dict | list) or value not in unset


def why_not(route: Route, payload: Mapping[str, Any] | None, body: bytes, *, force: bool) -> Reason | None:
    """Return why a response is not cached, None if it may be; ``payload`` is a JSON body's, None of any other."""
    if route.rpc or route.path not in CACHED:
        return "route"
    if payload is None:
        return "stateful" if _SEQUENCE in body else None
    if is_stateful(payload):
        return "stateful"
    if _REMOTE.search(body):
        return "remote"
    samples = route.path in SAMPLING or route.path in _FORMS
    return "sampled" if samples and not force and not is_deterministic(payload) else None


def key_of(
    scope: str,
    route: Route,
    served: Served,
    payload: Mapping[str, Any] | None,
    body: bytes,
    *,
    params: Mapping[str, str],
    query: bytes,
    fields: Mapping[bytes, bytes],
) -> Key:
    """Return the key of a request; ``payload`` is what its JSON ``body`` says, None of one that is no JSON.

    The scope is in it, though the store keeps scopes apart: no fault there may show one tenant another's response.
    """
    headers = () if payload is not None else [fields.get(name, b"").decode("latin-1") for name in _OF_IMAGES]
    asked = (FORMAT, scope, route.label, served.model, served.revision, served.owner, params.get("version", ""))
    digest = sha256(orjson.dumps((*asked, query.decode("latin-1"), headers)))
    digest.update(b"\0" + (body if payload is None else canonical(route, payload, body)))
    return Key(content=digest.hexdigest(), form=PLAIN if payload is None else form_of(payload))


def canonical(route: Route, payload: Mapping[str, Any], body: bytes) -> bytes:
    """Return what a request asks for, the same for each order of fields and spelling of strings.

    A body that takes long to write anew, or has numbers that would not come out as they are, is taken as it is: equal
    requests of the same client mostly are equal to the letter.
    """
    if not is_cheap(body) or _LONG_NUMBER.search(body):
        return body
    left_out = _LEFT_OUT_OF_RESPONSES if route.path == _RESPONSES else _LEFT_OUT
    kept = {name: value for name, value in payload.items() if name not in left_out}
    return orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)


def form_of(payload: Mapping[str, Any]) -> str:
    """Return the form in which a response is asked for: ``plain``, or one of the forms that a stream may have."""
    said = {name: payload[name] for name in sorted(FORM) if payload.get(name) not in (None, False)}
    if not said:
        return PLAIN
    return stream_form(said)


def stream_form(said: Mapping[str, Any]) -> str:
    """Return the name of the form that the fields ``said`` ask for."""
    return sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
