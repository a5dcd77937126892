"""Schemas of files and batches, which are OpenAI's."""

from typing import Any

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_MAYBE_TEXT: Schema = {"type": ["string", "null"]}
_MAYBE_TIME: Schema = {"type": ["integer", "null"], "minimum": 0}


def _object(*optional: str, **properties: Any) -> Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required}


def _list_of(name: str) -> Schema:
    return _object(
        object={"const": "list"},
        data={"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}},
        first_id=_MAYBE_TEXT,
        last_id=_MAYBE_TEXT,
        has_more={"type": "boolean"},
    )


_ERROR = _object(code=_TEXT, message=_TEXT, param=_MAYBE_TEXT, line={"type": ["integer", "null"]})
_TIMES = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")
_METADATA: Schema = {"type": ["object", "null"], "additionalProperties": {"type": "string", "maxLength": 512}}
SCHEMAS: dict[str, Schema] = {
    "FileForm": _object(
        "expires_after[anchor]",
        "expires_after[seconds]",
        file={"type": "string", "format": "binary", "description": "JSON lines, a request in each."},
        purpose={"const": "batch"},
        **{
            "expires_after[anchor]": {"const": "created_at"},
            "expires_after[seconds]": {"type": "integer", "minimum": 3600, "maximum": 2592000, "default": 2592000},
        },
    ),
    "StoredFile": _object(
        id=_TEXT,
        object={"const": "file"},
        bytes=_COUNT,
        created_at=_COUNT,
        expires_at=_COUNT,
        filename=_TEXT,
        purpose={"enum": ["batch", "batch_output"]},
        status={"const": "processed"},
        status_details={"type": "null"},
    ),
    "StoredFileList": _list_of("StoredFile"),
    "DeletedFile": _object(id=_TEXT, object={"const": "file"}, deleted={"const": True}),
    "BatchRequest": _object(
        "completion_window",
        "metadata",
        input_file_id={**_TEXT, "description": "Of a file with the purpose `batch`."},
        endpoint={**_TEXT, "description": "The path of all requests, or `/v2/models/{model}/infer`."},
        completion_window={
            "type": "string",
            "pattern": "^[1-9][0-9]{0,4}[mh]$",
            "default": "24h",
            "description": "After it, what is not done has an error; `24h` or other hours or minutes, at most a week.",
        },
        metadata={**_METADATA, "maxProperties": 16},
    ),
    "Batch": _object(
        id=_TEXT,
        object={"const": "batch"},
        endpoint=_TEXT,
        errors={
            "type": ["object", "null"],
            "properties": {"object": {"const": "list"}, "data": {"type": "array", "items": _ERROR}},
            "description": "Why it failed: what is wrong with the file, by its lines.",
        },
        input_file_id=_TEXT,
        completion_window=_TEXT,
        status={
            "enum": [
                "validating",
                "failed",
                "in_progress",
                "finalizing",
                "completed",
                "expired",
                "cancelling",
                "cancelled",
            ]
        },
        output_file_id={**_MAYBE_TEXT, "description": "Of the responses with a status of success."},
        error_file_id={**_MAYBE_TEXT, "description": "Of all other lines, each with its reason."},
        created_at=_COUNT,
        expires_at=_COUNT,
        **{f"{name}_at": _MAYBE_TIME for name in _TIMES},
        request_counts=_object(total=_COUNT, completed=_COUNT, failed=_COUNT),
        metadata=_METADATA,
    ),
    "BatchList": _list_of("Batch"),
}
