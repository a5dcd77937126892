"""What the document says of a route beyond its row of the table: its group, its bodies, and remarks."""

from collections.abc import Mapping
from dataclasses import dataclass

JSON = "application/json"
PLAIN = "text/plain"
EVENTS = "text/event-stream"


@dataclass(frozen=True, kw_only=True, slots=True)
class Description:
    """``requests`` and ``responses`` name the schemas that a JSON body may have, ``event`` that of a stream's data.

    Without ``needs_body`` a request may have none. ``content`` lists types of the response whose schema says nothing
    more; ``unavailable`` routes may respond 503 too.
    """

    group: str
    text: str = ""
    requests: tuple[str, ...] = ()
    needs_body: bool = True
    responses: tuple[str, ...] = ()
    event: str = ""
    content: tuple[str, ...] = ()
    unavailable: bool = False


GROUPS: Mapping[str, str] = {
    "Chat": "Chat and text completion, by OpenAI's and Anthropic's protocols. vLLM's own parameters are accepted too.",
    "Embeddings": "Vectors of texts, and texts compared by them.",
    "Short forms": "One field in, text out.",
    "Images": "Text or labels of an image: send the file itself, a form, or base64 in JSON.",
    "Batches": "Many requests in a file, done behind those that clients wait for, by OpenAI's protocol.",
    "Models": "What can be asked.",
    "Usage": "What calls used and cost, of the key's tenant or, with the role `admin`, of all; in OpenAI's shape, in "
    "which a project is a tenant and a line item a model.",
    "Keys": "API keys beside those of `tenants.yaml`, for keys with the role `admin`; in OpenAI's shape, with their "
    "tenant, team and roles. A secret is shown once.",
    "V2": "KServe's and Triton's inference protocol. The same port takes it as gRPC too.",
    "Triton": "What a Triton server says of its models; vision models only.",
    "Operations": "For whoever runs the gateway.",
}

_VERSIONS = "A version is a folder of a vision model; language models have none."
_SCORES = "The score of an embedding model is the cosine of two vectors."

DESCRIPTIONS: Mapping[str, Description] = {
    "/v1/chat/completions": Description(
        group="Chat",
        text="`model: auto` lets the platform choose; the response's `x-switchyard-*` headers then say what it chose.",
        requests=("ChatCompletionRequest",),
        responses=("ChatCompletionResponse",),
        event="ChatCompletionStreamResponse",
    ),
    "/v1/completions": Description(
        group="Chat",
        text="Continues a bare prompt, without the model's chat template.",
        requests=("CompletionRequest",),
        responses=("CompletionResponse",),
        event="CompletionStreamResponse",
    ),
    "/v1/responses": Description(
        group="Chat",
        text="Events of a stream have the types of OpenAI's Responses API. Stored with `background: true` alone.",
        requests=("ResponsesRequest",),
        responses=("ResponsesResponse",),
        event="ResponsesEvent",
    ),
    "/v1/responses/{response_id}": Description(
        group="Chat",
        text="Of a request with `background: true`. With `stream=true` its events, after the one that `starting_after` "
        "names.",
        content=(JSON, EVENTS),
    ),
    "/v1/responses/{response_id}/cancel": Description(
        group="Chat", text="One that has ended stays as it is.", content=(JSON,)
    ),
    "/v1/responses/{response_id}/input_items": Description(group="Chat", text="The last first.", content=(JSON,)),
    "/v1/streams/{request_id}": Description(
        group="Chat",
        text="Of a request with `x-switchyard-resume: true` or an `Idempotency-Key`, by the `x-request-id` of its "
        "response: the response as it was, or a stream after the event that `Last-Event-ID` or `after` names.",
        content=(EVENTS, JSON),
    ),
    "/v1/messages": Description(
        group="Chat",
        text="For Anthropic's clients; errors have their shape.",
        requests=("AnthropicMessagesRequest",),
        responses=("AnthropicMessagesResponse",),
        event="AnthropicStreamEvent",
    ),
    "/v1/messages/count_tokens": Description(
        group="Chat",
        text="What such messages would cost, with the model's chat template applied.",
        requests=("AnthropicCountTokensRequest",),
        responses=("AnthropicCountTokensResponse",),
    ),
    "/tokenize": Description(
        group="Chat",
        text="Of a bare prompt, or of messages with the model's chat template applied.",
        requests=("TokenizeCompletionRequest", "TokenizeChatRequest"),
        responses=("TokenizeResponse",),
    ),
    "/detokenize": Description(group="Chat", requests=("DetokenizeRequest",), responses=("DetokenizeResponse",)),
    "/v1/embeddings": Description(
        group="Embeddings",
        text="`input` is one text or a list of texts; `encoding_format: base64` makes responses a third as long.",
        requests=("EmbeddingCompletionRequest",),
        responses=("EmbeddingResponse",),
    ),
    "/v1/score": Description(
        group="Embeddings",
        text=_SCORES,
        requests=("ScoreQueriesDocumentsRequest", "ScoreTextRequest"),
        responses=("ScoreResponse",),
    ),
    "/v1/rerank": Description(
        group="Embeddings", text="Best first. " + _SCORES, requests=("RerankRequest",), responses=("RerankResponse",)
    ),
    "/pooling": Description(group="Embeddings", requests=("PoolingCompletionRequest",), responses=("PoolingResponse",)),
    "/v1/llm/chat": Description(
        group="Short forms", requests=("ShortChatRequest",), responses=("ShortResponse",), event="ShortEvent"
    ),
    "/generate": Description(
        group="Short forms", requests=("ShortCompletionRequest",), responses=("ShortResponse",), event="ShortEvent"
    ),
    "/v1/chat/{model}": Description(group="Short forms", content=(PLAIN,)),
    "/v1/code/{model}": Description(group="Short forms", content=(PLAIN,)),
    "/v1/ocr": Description(
        group="Images",
        text="`accept: text/plain` gives the text alone.",
        requests=("ImageRequest",),
        responses=("ImageText",),
        content=(PLAIN,),
    ),
    "/v1/vision/{model}": Description(
        group="Images",
        text="A model that finds text responds as `/v1/ocr` does, a classifier with labels.",
        requests=("ImageRequest",),
        responses=("ImageText", "ImageLabels"),
        content=(PLAIN,),
    ),
    "/v1/models/{model}:predict": Description(
        group="Images",
        text="A graph of vision models, such as an ensemble, is asked here.",
        requests=("PredictRequest",),
        responses=("PredictResponse",),
    ),
    "POST /v1/files": Description(
        group="Batches",
        text="It is read as it arrives, and kept for 30 days unless it says less.",
        responses=("StoredFile",),
    ),
    "GET /v1/files": Description(group="Batches", text="The newest first.", responses=("StoredFileList",)),
    "GET /v1/files/{file_id}": Description(group="Batches", responses=("StoredFile",)),
    "DELETE /v1/files/{file_id}": Description(group="Batches", responses=("DeletedFile",)),
    "/v1/files/{file_id}/content": Description(group="Batches", content=("application/octet-stream",)),
    "POST /v1/batches": Description(
        group="Batches",
        text="Each line of the file is `{custom_id, method, url, body}`; `url` is the `endpoint`, or a path of it.",
        requests=("BatchRequest",),
        responses=("Batch",),
    ),
    "GET /v1/batches": Description(group="Batches", text="The newest first.", responses=("BatchList",)),
    "/v1/batches/{batch_id}": Description(group="Batches", responses=("Batch",)),
    "/v1/batches/{batch_id}/cancel": Description(
        group="Batches",
        text="It is `cancelling` until requests that are under way have ended.",
        responses=("Batch",),
    ),
    "/v1/models": Description(group="Models", text="By OpenAI's protocol.", responses=("ModelList",)),
    "/v1/models/{model}": Description(
        group="Models", text="By OpenAI's protocol, and `ready` by KServe's V1.", responses=("Model",)
    ),
    "/v1/organization/usage/completions": Description(group="Usage", responses=("UsagePage",)),
    "/v1/organization/usage/embeddings": Description(group="Usage", responses=("UsagePage",)),
    "/v1/organization/usage/images": Description(group="Usage", responses=("UsagePage",)),
    "/v1/organization/usage/rows": Description(
        group="Usage", text="A day that is over has all its rows.", responses=("RowsPage",)
    ),
    "/v1/organization/costs": Description(
        group="Usage", text="In US dollars; `nano_dollars` is exact.", responses=("UsagePage",)
    ),
    "/v1/organization/audit_logs": Description(
        group="Keys", text="The newest first. Acts older than `AUDIT_DAYS` are forgotten.", responses=("AuditLogList",)
    ),
    "GET /v1/organization/cache": Description(
        group="Keys", text="`requests` are those that came to this gateway since it started.", responses=("CacheList",)
    ),
    "DELETE /v1/organization/cache": Description(
        group="Keys", text="What is being made is kept all the same.", responses=("ClearedCache",)
    ),
    "GET /v1/organization/admin_api_keys": Description(
        group="Keys", text="By the time at which they were made; those of the file come first.", responses=("KeyList",)
    ),
    "POST /v1/organization/admin_api_keys": Description(
        group="Keys",
        text="The key is the admin's own tenant's where no `tenant` is named. Every gateway takes it within a second.",
        requests=("KeyRequest",),
        responses=("NewKey",),
    ),
    "GET /v1/organization/admin_api_keys/{key_id}": Description(group="Keys", responses=("Key",)),
    "DELETE /v1/organization/admin_api_keys/{key_id}": Description(
        group="Keys",
        text="It stays in the list for 90 days, as `revoked`. No gateway takes it a second later.",
        responses=("RevokedKey",),
    ),
    "/v1/organization/admin_api_keys/{key_id}/rotate": Description(
        group="Keys",
        text="The new secret is valid for as long as the old one was.",
        requests=("KeyRotation",),
        needs_body=False,
        responses=("NewKey",),
    ),
    "/v1/stream": Description(
        group="Chat",
        text="After the handshake (RFC 6455, over HTTP/1.1) each message is one JSON object, with the `id` of its "
        "request: `docs/reference/websocket.md` describes them.",
    ),
    "/v2": Description(group="V2", responses=("ServerMetadata",)),
    "/v2/health/live": Description(group="V2", responses=("Live",)),
    "/v2/health/ready": Description(group="V2", responses=("Ready",)),
    "/v2/models": Description(group="V2", responses=("ModelNames",)),
    "/v2/repository/index": Description(group="V2", responses=("RepositoryIndex",)),
    "/v2/models/{model}": Description(group="V2", responses=("ModelMetadataResponse",)),
    "/v2/models/{model}/ready": Description(
        group="V2", text="A model that is asleep is ready: it wakes when it is asked.", responses=("ModelReady",)
    ),
    "/v2/models/{model}/infer": Description(
        group="V2",
        text="`GET /v2/models/{model}` names the tensors. Triton's binary tensors pass to vision models, as a body of "
        "`application/octet-stream` with the header `Inference-Header-Content-Length`.",
        requests=("InferenceRequest",),
        responses=("InferenceResponse",),
    ),
    "/v2/models/{model}/generate": Description(
        group="Triton",
        text="A language model takes `text_input`, and as parameters those of its inference.",
        requests=("GenerateRequest",),
        responses=("GenerateResponse",),
    ),
    "/v2/models/{model}/generate_stream": Description(
        group="Triton", requests=("GenerateRequest",), event="GenerateResponse"
    ),
    "/v2/models/{model}/config": Description(group="Triton", responses=("TritonModelConfig",)),
    "/v2/models/{model}/stats": Description(group="Triton", responses=("TritonStatistics",)),
    "/v2/models/stats": Description(group="Triton", responses=("TritonStatistics",)),
    "/v2/repository/models/{model}/load": Description(group="Triton", text="The body of the response is empty."),
    "/v2/repository/models/{model}/unload": Description(
        group="Triton", text="A model that is a step of a loaded one stays. The body of the response is empty."
    ),
    "/health": Description(group="Operations", responses=("Status",)),
    "/healthz": Description(group="Operations", responses=("Status",)),
    "/readyz": Description(group="Operations", responses=("Status",), unavailable=True),
    "/metrics": Description(group="Operations", content=(PLAIN,)),
    "/docs": Description(group="Operations", content=("text/html",)),
    "/openapi.json": Description(group="Operations", content=(JSON,)),
}
_VERSIONED = "/versions/{version}"


def description(method: str, path: str) -> Description:
    """Return the description of a route: of its method, or of its path; one with a version has the model's.

    Raises:
        KeyError: nobody has described the route.
    """
    return DESCRIPTIONS.get(f"{method} {path}") or DESCRIPTIONS[path.replace(_VERSIONED, "")]


def version_note(path: str) -> str:
    """Return a remark for routes that name a version."""
    return _VERSIONS if _VERSIONED in path else ""
