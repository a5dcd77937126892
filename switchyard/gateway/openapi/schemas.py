"""Schemas of the gateway's own requests and responses; the engines' are in ``engines.json``."""

from importlib.resources import files
from typing import Any

import orjson

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NOT_BLANK: Schema = {"type": "string", "pattern": r"\S"}
FLAG: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number"}
BYTES: Schema = {"type": "string", "format": "binary"}


def reference(name: str) -> Schema:
    """Return a reference to a schema of the document by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def _said(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description}


def _list(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def _object(required: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    fields: Schema = {"type": "object", "properties": properties}
    return {**fields, "required": list(required)} if required else fields


def _or_null(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


def _form(text: str, /, **properties: Schema) -> Schema:
    return {**_object((text,), **properties), "additionalProperties": False}


_LONG: Schema = {"type": "string", "minLength": 1}
MODEL = _said(TEXT, "A name that `GET /v1/models` lists.")
_MODEL_FIELD = _said(
    TEXT, "A name that `GET /v1/models` lists; without it `DEFAULT_MODEL` or the first language model."
)
_OPTIONS: dict[str, Schema] = {
    "model": _or_null(_MODEL_FIELD),
    "max_tokens": _or_null(_said({**COUNT, "maximum": 2**31 - 1}, "The longest response, in tokens.")),
    "temperature": _or_null(_said(NUMBER, "0 always takes the likeliest token.")),
    "stream": _or_null(_said(FLAG, "Whether the text comes as server-sent events.")),
}
_SYSTEM = _or_null(_said(TEXT, "The system's message."))
_TOP_K = {"type": "integer", "minimum": 1, "maximum": 1000, "default": 5, "description": "How many labels are wanted."}
_BASE64 = _said(TEXT, "The encoded image file as base64 or as a `data:` URI.")

_TIME = _said(COUNT, "In seconds since 1970.")
_MAYBE_TIME: Schema = {"type": ["integer", "null"], "minimum": 0}
_ROLES = _list({"enum": ["use", "admin"]})
_CACHE_FIELDS: dict[str, Schema] = {
    "object": {"const": "organization.cache"},
    "scope": TEXT,
    "tenants": {"type": "array", "items": TEXT},
    **dict.fromkeys(("responses", "response_bytes", "embeddings", "embedding_bytes", "most_bytes", "seconds"), COUNT),
}
_KEY_FIELDS: dict[str, Schema] = {
    "object": {"const": "organization.admin_api_key"},
    "id": _said(TEXT, "The key's name in logs and on the bill."),
    "name": TEXT,
    "redacted_value": TEXT,
    "created_at": _said(_TIME, "0 of a key of the file, which does not say it."),
    "expires_at": _MAYBE_TIME,
    "last_used_at": _said(_MAYBE_TIME, "To five minutes."),
    "owner": _object(
        ("type", "object", "id", "name", "created_at", "role"),
        type={"const": "service_account"},
        object={"const": "organization.service_account"},
        id=_said(TEXT, "The tenant, or tenant/team."),
        name=TEXT,
        created_at=_TIME,
        role={"enum": ["owner", "member"], "description": "`owner` of a key with the role `admin`."},
    ),
    "tenant": TEXT,
    "team": {"type": ["string", "null"]},
    "roles": _ROLES,
    "source": {"enum": ["store", "file"], "description": "A key of the `file` is changed in `tenants.yaml` alone."},
    "status": {"enum": ["active", "expired", "revoked"]},
    "previous_expires_at": _said(_MAYBE_TIME, "When the secret that a rotation has replaced ends."),
}

OWN: dict[str, Schema] = {
    "Model": _object(
        ("id", "object", "created", "owned_by", "kind", "state", "ready"),
        id=TEXT,
        object={"const": "model"},
        created=_said(COUNT, "Always 0; OpenAI's clients want the field."),
        owned_by=TEXT,
        kind={"enum": ["llm", "embedding", "vision", "graph", "adapter"]},
        state={
            "enum": ["ready", "asleep", "waking", "failed", "pending"],
            "description": "A sleeping model wakes when it is asked; a pending one's folder is being checked.",
        },
        ready=_said(FLAG, "False when the model has failed or is pending; for clients of KServe's V1 protocol."),
        max_model_len=_said(COUNT, "Tokens of prompt and response together, where known."),
        reason=_said(TEXT, "Why it is not ready, or why the newest content of its folder is not served."),
        license=_said(TEXT, "As the model's own card or configuration names it."),
        versions=_said(_list(TEXT), "Of a vision model; only of one model, as are all below."),
        size_bytes=_said(COUNT, "Of its folder."),
        format=_said(TEXT, "Such as `onnx` or `huggingface`."),
        description=_said(TEXT, "The first paragraph of the model's own card."),
        architecture=TEXT,
        parameters=COUNT,
        dtype=TEXT,
        quantization=TEXT,
        source=_said(TEXT, "Where it was downloaded from."),
        revision=_said(TEXT, "Which revision of the source this is."),
        signed_by=_said(TEXT, "Whose signature of the folder was verified."),
    ),
    "ModelList": _object(("object", "data"), object={"const": "list"}, data=_list(reference("Model"))),
    "ShortChatRequest": _form("prompt", prompt=_LONG, system=_SYSTEM, **_OPTIONS),
    "ShortCompletionRequest": _form("text", text=_said(_LONG, "The bare prompt."), **_OPTIONS),
    "ShortResponse": _object(
        ("model", "text", "finish_reason", "usage"),
        model=TEXT,
        text=TEXT,
        finish_reason={"type": ["string", "null"]},
        usage={"anyOf": [reference("UsageInfo"), {"type": "null"}]},
    ),
    "ShortEvent": _object(("text",), text=TEXT),
    "ResponsesEvent": _object(("type",), type=_said(TEXT, "Such as `response.output_text.delta`.")),
    "ImageRequest": _object(("image",), image=_BASE64, top_k=_TOP_K),
    "ImageForm": _object(("image",), image=BYTES, top_k=_TOP_K),
    "ImageText": _object(
        ("model", "text", "lines"),
        model=TEXT,
        text=_said(TEXT, "All lines, one below the other."),
        lines=_list(reference("ImageLine")),
    ),
    "ImageLine": _object(
        ("text", "score", "box"),
        text=TEXT,
        score={"type": "number", "minimum": 0, "maximum": 1},
        box=_said(_list(_list(NUMBER)), "Four corners in pixels, clockwise from the line's top left."),
    ),
    "ImageLabels": _object(("model", "labels"), model=TEXT, labels=_list(reference("ImageLabel"))),
    "ImageLabel": _object(
        ("label", "score", "index"), label=_said(TEXT, "The index, if the model names none."), score=NUMBER, index=COUNT
    ),
    "PredictRequest": _object(
        ("instances",),
        instances=_list(_object(("image",), image=_object(("b64",), b64=_BASE64), top_k=_TOP_K)),
    ),
    "PredictResponse": {
        "type": "object",
        "description": "`predictions` of a model; of a graph what the graph makes of its models' responses.",
    },
    "ServerMetadata": _object(("name", "version", "extensions"), name=TEXT, version=TEXT, extensions=_list(TEXT)),
    "Live": _object(("live",), live=FLAG),
    "Ready": _object(("ready",), ready=FLAG),
    "ModelReady": _object(("name", "ready"), name=TEXT, ready=FLAG),
    "ModelNames": _object(("models",), models=_list(TEXT)),
    "RepositoryIndex": _list(
        _object(
            ("name", "version", "state", "reason"),
            name=TEXT,
            version=TEXT,
            state={"enum": ["READY", "UNAVAILABLE"], "description": "READY also of a sleeping model: it wakes."},
            reason=TEXT,
        )
    ),
    "GenerateRequest": {"type": "object", "description": "The model's inputs by name; the rest are parameters."},
    "GenerateResponse": {"type": "object", "description": "The model's outputs by name."},
    "TritonModelConfig": _said(_object(("name",), name=TEXT), "Triton's ModelConfig as JSON."),
    "TritonStatistics": _object(("model_stats",), model_stats=_list({"type": "object"})),
    "Status": _object(("status",), status=TEXT, models=_said(TEXT, "How many are listed."), reason=TEXT),
    "UsagePage": _object(
        ("object", "data", "has_more", "next_page"),
        object={"const": "page"},
        data=_list(
            _object(
                ("object", "start_time", "end_time", "results"),
                object={"const": "bucket"},
                start_time=COUNT,
                end_time=COUNT,
                results=_list({"type": "object", "description": "OpenAI's result of this endpoint, with additions."}),
            )
        ),
        has_more=FLAG,
        next_page=_said({"type": ["string", "null"]}, "The parameter `page` of what follows."),
    ),
    "RowsPage": _object(
        ("object", "data", "has_more", "next_page"),
        object={"const": "page"},
        data=_list({"type": "object", "description": "Who called which model, and what it used and cost."}),
        has_more=FLAG,
        next_page=_said({"type": ["string", "null"]}, "The parameter `page` of what follows."),
    ),
    "Key": _object(tuple(_KEY_FIELDS), **_KEY_FIELDS),
    "NewKey": _object((*_KEY_FIELDS, "value"), **_KEY_FIELDS, value=_said(TEXT, "The secret. Nothing keeps it.")),
    "KeyList": _object(
        ("object", "data", "first_id", "last_id", "has_more"),
        object={"const": "list"},
        data=_list(reference("Key")),
        first_id={"type": ["string", "null"]},
        last_id={"type": ["string", "null"]},
        has_more=FLAG,
    ),
    "CacheList": _object(
        ("object", "data", "requests"),
        object={"const": "list"},
        data=_list(reference("CacheScope")),
        requests=_object(("hit", "miss", "joined", "bypass"), hit=COUNT, miss=COUNT, joined=COUNT, bypass=COUNT),
    ),
    "CacheScope": _object(tuple(_CACHE_FIELDS), **_CACHE_FIELDS),
    "ClearedCache": _object(
        ("object", "scopes", "deleted"),
        object={"const": "organization.cache.cleared"},
        scopes=_list(TEXT),
        deleted=COUNT,
    ),
    "AuditLogList": _object(
        ("object", "data", "first_id", "last_id", "has_more"),
        object={"const": "list"},
        data=_list(reference("AuditLog")),
        first_id={"type": ["string", "null"]},
        last_id={"type": ["string", "null"]},
        has_more=FLAG,
    ),
    "AuditLog": _said(
        _object(
            ("object", "id", "type", "effective_at", "project", "actor", "source", "outcome"),
            object={"const": "organization.audit_log"},
            id=TEXT,
            type=TEXT,
            effective_at=_TIME,
            project={"type": ["object", "null"], "description": "The tenant."},
            actor=_object(
                ("type",),
                type={"enum": ["api_key", "file", "local"], "description": "`file` is an edit of `tenants.yaml`."},
                api_key={"type": "object", "description": "The key's `id` and the tenant that it belongs to."},
                file={"type": "object"},
            ),
            source={"type": ["object", "null"], "description": "The address and the id of the request."},
            outcome=_said(TEXT, "`succeeded`, or the code of the error."),
        ),
        "More is in the field that has the name of the type.",
    ),
    "KeyRequest": _object(
        name=_said(TEXT, "For people; the id, if absent."),
        id=_said(TEXT, "Lower case letters, digits and hyphens, at most 63; a random one, if absent."),
        tenant=_said(TEXT, "A tenant of `tenants.yaml`; the admin's own, if absent."),
        team=_said(TEXT, "A team of it."),
        roles={**_ROLES, "default": ["use"]},
        expires_in_seconds=_said({"type": "integer", "minimum": 1}, "For ever, if neither end is given."),
        expires_at=_said(_TIME, "In place of `expires_in_seconds`: seconds since 1970."),
    ),
    "KeyRotation": _object(
        overlap_seconds={**COUNT, "default": 86400, "description": "How long the old secret stays valid."},
    ),
    "RevokedKey": _object(
        ("object", "id", "deleted"),
        object={"const": "organization.admin_api_key.deleted"},
        id=TEXT,
        deleted={"const": True},
    ),
    "OpenAIError": _object(
        ("error",),
        error=_object(
            ("message", "type", "param", "code"),
            message=TEXT,
            type=TEXT,
            param=_said({"type": ["string", "null"]}, "The field at fault."),
            code={"type": ["string", "integer", "null"]},
        ),
    ),
    "AnthropicErrorResponse": _object(
        ("type", "error"),
        type={"const": "error"},
        error=_object(("type", "message"), type=TEXT, message=TEXT, details=_object(("error_code",), error_code=TEXT)),
    ),
    "V2Error": _object(("error",), error=TEXT, code=TEXT),
}


def engines() -> dict[str, Schema]:
    """Return the schemas of vLLM and KServe, as ``python -m tools.openapi`` wrote them."""
    content: dict[str, Schema] = orjson.loads(files(__package__).joinpath("engines.json").read_bytes())
    return content
