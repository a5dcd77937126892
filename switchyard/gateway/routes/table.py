"""Every route: this table is matched, documented and tested, and no other path of a model can be reached."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

from switchyard.catalog import Kind
from switchyard.gateway.routes.short_forms import CHAT_FORM, CHAT_TEXT, CODE_TEXT, GENERATE_FORM, Form
from switchyard.http.api_errors import Shape, shape_of
from switchyard.rpc import v2

By = Literal["model", "gateway", "recordings", "usage", "admin", "files", "batches", "socket", "pages", "nobody"]
Body = Literal["none", "json", "object", "any", "form", "message", "file"]
Access = Literal["open", "key", "use", "admin"]

CHATTING: frozenset[Kind] = frozenset(("llm", "graph", "adapter"))
EMBEDDING: frozenset[Kind] = frozenset(("embedding", "graph"))
OCR = "ocr"
TOKENS: frozenset[Kind] = CHATTING | EMBEDDING
VISION: frozenset[Kind] = frozenset(("vision",))
GENERATING: frozenset[Kind] = frozenset(("llm", "adapter", "vision"))  # whatever speaks Triton's V2 beyond infer
LOADABLE: frozenset[Kind] = frozenset(("vision", "llm", "embedding"))  # a graph has no model of its own
PREDICTING: frozenset[Kind] = frozenset(("vision", "graph"))
ANY: frozenset[Kind] = TOKENS | VISION

_HINT = "; it wakes when asked and sleeps when idle, without load and unload"
_PREDICT = "/v1/models/{model}:predict"
METRICS = "/metrics"
WEBSOCKET = "/v1/stream"
WEBSOCKET_PATHS = frozenset((WEBSOCKET.encode(), b"/openai" + WEBSOCKET.encode()))


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """One route; ``upstream`` is the path below the model's URL, where a model responds.

    In ``path``, a name in braces matches one segment, or its beginning. ``body`` says what is parsed of the request
    (``object`` is JSON for the gateway itself, ``file`` a form that is read as it arrives); ``model`` responds where
    neither path nor body name one; ``query`` says whether the query string is forwarded; ``streams`` whether a client
    may ask for events; ``rpc`` is the method of a V2 gRPC route; ``hint`` ends the error message for a model of another
    kind.
    """

    method: str
    path: str
    summary: str
    shape: Shape
    by: By
    kinds: frozenset[Kind] = ANY
    upstream: str = ""
    body: Body = "none"
    form: Form | None = None
    model: str = ""
    query: bool = False
    streams: bool = False
    rpc: str = ""
    hint: str = ""

    @property
    def prefixed(self) -> bool:
        """Whether KServe's clients find it below ``/openai`` too."""
        return self.by != "pages" and not self.path.startswith("/v2")

    @property
    def label(self) -> str:
        """The route's value in metrics."""
        return f"grpc {self.rpc}" if self.rpc else self.path

    @property
    def access(self) -> Access:
        """What a gateway with keys asks for: a key with this role, any key, or none."""
        name = self.rpc or self.path
        if self.by == "admin":
            return "admin"
        if self.by in ("pages", "nobody") or name in _OPEN:
            return "admin" if name in _ADMIN else "open"
        if name in _ADMIN:
            return "admin"
        return "use" if self.by in ("model", "recordings", "files", "batches") else "key"


# Probes have no keys, and what they learn names no model.
_OPEN = frozenset(("/v2/health/live", "/v2/health/ready", "ServerLive", "ServerReady"))
# What is every tenant's: which models are loaded, and how much each was used.
_ADMIN = frozenset(
    (
        METRICS,
        "/v2/models/stats",
        "/v2/repository/models/{model}/load",
        "/v2/repository/models/{model}/unload",
        "RepositoryModelLoad",
        "RepositoryModelUnload",
    )
)

_ask = partial(Route, method="POST", by="model")


def _openai(path: str, summary: str, kinds: frozenset[Kind], *, streams: bool = False) -> Route:
    upstream = "/openai" + path
    return _ask(
        path=path, summary=summary, shape=shape_of(path), kinds=kinds, upstream=upstream, body="json", streams=streams
    )


def _form(path: str, summary: str, form: Form) -> Route:
    shape, upstream = shape_of(path), form.upstream
    return _ask(
        path=path,
        summary=summary,
        shape=shape,
        kinds=CHATTING,
        upstream=upstream,
        body="form",
        form=form,
        streams=True,
    )


def _image(path: str, summary: str, upstream: str, model: str = "", kinds: frozenset[Kind] = VISION) -> Route:
    return _ask(
        path=path,
        summary=summary,
        shape=shape_of(path),
        kinds=kinds,
        upstream=upstream,
        body="any",
        model=model,
        query=True,
    )


def _v2(
    method: str,
    path: str,
    summary: str,
    by: By = "gateway",
    kinds: frozenset[Kind] = ANY,
    model: str = "",
    hint: str = "",
    *,
    streams: bool = False,
) -> Route:
    body: Body = "any" if by == "model" and method == "POST" else "none"
    return Route(
        method=method,
        path=path,
        summary=summary,
        shape=shape_of(path),
        by=by,
        kinds=kinds,
        upstream=path,
        body=body,
        model=model,
        hint=hint,
        streams=streams,
    )


def _rpc(method: str, summary: str, by: By, body: Body = "none", kinds: frozenset[Kind] = ANY, hint: str = "") -> Route:
    path = f"/{v2.SERVICE}/{method}"
    return Route(
        method="POST", path=path, summary=summary, shape="v2", by=by, kinds=kinds, body=body, rpc=method, hint=hint
    )


def _get(path: str, summary: str, by: By = "gateway") -> Route:
    return Route(method="GET", path=path, summary=summary, shape=shape_of(path), by=by)


def _background(rest: str, method: str, summary: str) -> Route:
    path = "/v1/responses/{response_id}" + rest
    return Route(method=method, path=path, summary=summary, shape=shape_of(path), by="recordings")


def _keys(method: str, rest: str, summary: str) -> Route:
    path = "/v1/organization/admin_api_keys" + rest
    body: Body = "object" if method == "POST" else "none"
    return Route(method=method, path=path, summary=summary, shape=shape_of(path), by="admin", body=body)


def _stored(method: str, path: str, summary: str, by: By, body: Body = "none") -> Route:
    return Route(method=method, path=path, summary=summary, shape=shape_of(path), by=by, body=body)


def _cache(method: str, summary: str) -> Route:
    path = "/v1/organization/cache"
    return Route(method=method, path=path, summary=summary, shape=shape_of(path), by="admin")


# A list and no pattern: beside these vLLM serves, by flags, what is an operator's alone, such as loading an adapter,
# emptying caches or sleep.
ROUTES: tuple[Route, ...] = (
    _get("/v1/models", "Every model, those asleep included."),
    _get("/v1/models/{model}", "One model."),
    _get("/v1/organization/usage/completions", "What language models were used.", "usage"),
    _get("/v1/organization/usage/embeddings", "What embedding models were used.", "usage"),
    _get("/v1/organization/usage/images", "What vision models were used.", "usage"),
    _get("/v1/organization/usage/rows", "The row of each call.", "usage"),
    _get("/v1/organization/costs", "What calls cost.", "usage"),
    _get("/v1/organization/audit_logs", "What was done to keys, tenants and models, and by whom.", "admin"),
    _cache("GET", "What the cache of responses holds."),
    _cache("DELETE", "Forgets what the cache of responses holds."),
    _keys("GET", "", "Every API key, of the store and of the file of tenants."),
    _keys("POST", "", "Makes a key, which this response alone shows."),
    _keys("GET", "/{key_id}", "One key."),
    _keys("DELETE", "/{key_id}", "Revokes a key."),
    _keys("POST", "/{key_id}/rotate", "Gives a key a new secret; the old one stays valid for a while."),
    _stored("POST", "/v1/files", "Takes a file of requests for a batch.", "files", "file"),
    _stored("GET", "/v1/files", "Every file of the tenant's.", "files"),
    _stored("GET", "/v1/files/{file_id}", "One file.", "files"),
    _stored("DELETE", "/v1/files/{file_id}", "Deletes a file.", "files"),
    _stored("GET", "/v1/files/{file_id}/content", "What is in a file.", "files"),
    _stored("POST", "/v1/batches", "Makes a batch of a file's requests.", "batches", "object"),
    _stored("GET", "/v1/batches", "Every batch of the tenant's.", "batches"),
    _stored("GET", "/v1/batches/{batch_id}", "One batch, and how far it is.", "batches"),
    _stored("POST", "/v1/batches/{batch_id}/cancel", "Ends a batch; what is done is kept.", "batches"),
    _openai("/v1/chat/completions", "Chat.", CHATTING, streams=True),
    _openai("/v1/completions", "Text completion.", CHATTING, streams=True),
    _openai("/v1/responses", "OpenAI responses.", CHATTING, streams=True),
    _get("/v1/responses/{response_id}", "A response in the background, or its stream.", "recordings"),
    _background("/cancel", "POST", "Ends a response in the background."),
    _background("/input_items", "GET", "The input of a response in the background."),
    _get("/v1/streams/{request_id}", "A response again, from any event on.", "recordings"),
    _openai("/v1/messages", "Anthropic messages.", CHATTING, streams=True),
    _openai("/v1/messages/count_tokens", "Tokens of Anthropic messages.", CHATTING),
    _openai("/v1/embeddings", "Embeddings.", EMBEDDING),
    _openai("/v1/score", "Similarity of pairs of texts.", EMBEDDING),
    _openai("/v1/rerank", "Order of documents for a query.", EMBEDDING),
    _openai("/pooling", "Pooled hidden states.", EMBEDDING),
    _openai("/tokenize", "Tokens of a text.", TOKENS),
    _openai("/detokenize", "Text of tokens.", TOKENS),
    _form("/v1/llm/chat", "Chat in one field.", CHAT_FORM),
    _form("/generate", "Completion in one field.", GENERATE_FORM),
    _form("/v1/chat/{model}", "Text in, streamed text out.", CHAT_TEXT),
    _form("/v1/code/{model}", "Text in, streamed code out.", CODE_TEXT),
    _image("/v1/ocr", "The text of an image, as JSON or plain text.", "/v1/vision/ocr", OCR),
    _image("/v1/vision/{model}", "What a vision model sees in an image.", "/v1/vision/{model}"),
    _image(_PREDICT, "The same in KServe's V1 protocol, and graphs of such models.", _PREDICT, kinds=PREDICTING),
    _get(WEBSOCKET, "Chat, completions and responses over one WebSocket.", "socket"),
    _v2("GET", "/v2", "Name, version and extensions of this server."),
    _v2("GET", "/v2/health/live", "Whether the gateway runs."),
    _v2("GET", "/v2/health/ready", "Whether the gateway can answer."),
    _v2("GET", "/v2/models", "Names of every model."),
    _v2("POST", "/v2/repository/index", "Every model and its state."),
    _v2("GET", "/v2/repository/index", "The same, for browsers."),
    _v2("GET", "/v2/models/stats", "Triton's statistics of all models.", "model", VISION, model=OCR),
    _v2("GET", "/v2/models/{model}", "Inputs and outputs; wakes the model.", "model"),
    _v2("GET", "/v2/models/{model}/versions/{version}", "The same of one version.", "model"),
    _v2("GET", "/v2/models/{model}/ready", "Whether the model would answer; wakes nothing."),
    _v2("GET", "/v2/models/{model}/versions/{version}/ready", "The same of one version."),
    _v2("POST", "/v2/models/{model}/infer", "Inference.", "model"),
    _v2("POST", "/v2/models/{model}/versions/{version}/infer", "Inference on one version.", "model"),
    _v2("POST", "/v2/models/{model}/generate", "Triton's generate extension.", "model", GENERATING),
    _v2("POST", "/v2/models/{model}/versions/{version}/generate", "The same on one version.", "model", GENERATING),
    _v2("POST", "/v2/models/{model}/generate_stream", "The same, streamed.", "model", GENERATING, streams=True),
    _v2(
        "POST",
        "/v2/models/{model}/versions/{version}/generate_stream",
        "The same on one version.",
        "model",
        GENERATING,
        streams=True,
    ),
    _v2("GET", "/v2/models/{model}/config", "Triton's configuration of the model.", "model", VISION),
    _v2("GET", "/v2/models/{model}/versions/{version}/config", "The same of one version.", "model", VISION),
    _v2("GET", "/v2/models/{model}/stats", "Triton's statistics of the model.", "model", VISION),
    _v2("GET", "/v2/models/{model}/versions/{version}/stats", "The same of one version.", "model", VISION),
    _v2("POST", "/v2/repository/models/{model}/load", "Loads a model, which wakes it.", "model", LOADABLE, hint=_HINT),
    _v2("POST", "/v2/repository/models/{model}/unload", "Unloads it.", "model", LOADABLE, hint=_HINT),
    _get("/health", "Whether the gateway runs.", "pages"),
    _get("/healthz", "The same, under Kubernetes' usual name.", "pages"),
    _get(
        "/readyz",
        "Whether new requests should come here: the catalog is readable, and the gateway does not drain.",
        "pages",
    ),
    _get(METRICS, "Prometheus metrics.", "pages"),
    _get("/docs", "This interface, for browsers.", "pages"),
    _get("/openapi.json", "This interface as OpenAPI.", "pages"),
)

# V2 gRPC: service ``inference.GRPCInferenceService`` of KServe's and Triton's ``grpc_predict_v2.proto``.
RPC_ROUTES: tuple[Route, ...] = (
    _rpc("ServerLive", "Whether the gateway runs.", "gateway"),
    _rpc("ServerReady", "Whether the gateway can answer.", "gateway"),
    _rpc("ServerMetadata", "Name, version and extensions of this server.", "gateway"),
    _rpc("ModelReady", "Whether the model would answer; wakes nothing.", "gateway", "message"),
    _rpc("RepositoryIndex", "Every model and its state.", "gateway"),
    _rpc("ModelInfer", "Inference.", "model", "message"),
    _rpc("ModelMetadata", "Inputs and outputs; wakes the model.", "model", "message"),
    _rpc("ModelConfig", "Triton's configuration of the model.", "model", "message", VISION),
    _rpc("ModelStatistics", "Triton's statistics of the model.", "model", "message", VISION),
    _rpc("ModelStreamInfer", "Inference in both directions, by the first message's model.", "model", "message"),
    _rpc("RepositoryModelLoad", "Loads a model, which wakes it.", "model", "message", LOADABLE, _HINT),
    _rpc("RepositoryModelUnload", "Unloads it.", "model", "message", LOADABLE, _HINT),
)
UNKNOWN_RPC = Route(method="POST", path="unknown", summary="", shape="v2", by="nobody", rpc="unknown")
