"""The query parameters of usage, costs and lists, which are OpenAI's, and of the rows of calls."""

from typing import Any

from switchyard.gateway.openapi.schemas import TEXT

Node = dict[str, Any]

_GROUPS = ("project_id", "team", "api_key_id")
_LIST: Node = {"type": "array", "items": TEXT, "maxItems": 100}
_TIME: Node = {"type": "integer", "minimum": 0, "maximum": 2**40}
_SHARED: dict[str, Node] = {
    "start_time": {"required": True, "schema": _TIME, "description": "In seconds since 1970."},
    "end_time": {"schema": _TIME, "description": "Now, if absent."},
    "project_ids": {"schema": _LIST, "description": "These tenants alone."},
}


LIST_PARAMETERS: dict[str, Node] = {
    "after": {"schema": TEXT, "description": "The `last_id` of the page before."},
    "limit": {"schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}},
    "order": {"schema": {"enum": ["asc", "desc"], "default": "asc"}, "description": "By the time of creation."},
}

FILE_PARAMETERS: dict[str, Node] = {
    **LIST_PARAMETERS,
    "limit": {"schema": {"type": "integer", "minimum": 1, "maximum": 10000, "default": 10000}},
    "order": {"schema": {"enum": ["asc", "desc"], "default": "desc"}, "description": "By the time of creation."},
    "purpose": {"schema": {"enum": ["batch", "batch_output"]}, "description": "These alone."},
}
BATCH_PARAMETERS: dict[str, Node] = {name: LIST_PARAMETERS[name] for name in ("after", "limit")}
_EVENT: Node = {"type": "integer", "minimum": 0, "maximum": 10**15}
_OF_RECORDINGS: dict[str, dict[str, Node]] = {
    "/v1/streams/{request_id}": {
        "after": {"schema": _EVENT, "description": "The `id` of the last event that is known."}
    },
    "/v1/responses/{response_id}": {
        "stream": {"schema": {"type": "boolean", "default": False}},
        "starting_after": {"schema": _EVENT, "description": "The `sequence_number` of the last event that is known."},
    },
    "/v1/responses/{response_id}/input_items": {
        **LIST_PARAMETERS,
        "order": {"schema": {"enum": ["asc", "desc"], "default": "desc"}},
    },
}

CACHE_PARAMETERS: dict[str, Node] = {
    "project_ids": {"schema": _LIST, "description": "Of these tenants, and who shares with them, alone."},
}

AUDIT_PARAMETERS: dict[str, Node] = {
    **{
        f"effective_at[{bound}]": {"schema": _TIME, "description": "In seconds since 1970."}
        for bound in ("gt", "gte", "lt", "lte")
    },
    "event_types": {"schema": _LIST, "description": "Such as `api_key.created`, `tenants.updated` or `model.loaded`."},
    "project_ids": {"schema": _LIST, "description": "Done to these tenants."},
    "actor_ids": {"schema": _LIST, "description": "Done by these keys."},
    "resource_ids": {"schema": _LIST, "description": "Done to these keys or models."},
    "limit": LIST_PARAMETERS["limit"],
    "after": {"schema": TEXT, "description": "The `last_id` of a page: what is older."},
    "before": {"schema": TEXT, "description": "The `first_id` of a page: what is newer."},
}


def recording_parameters(path: str) -> dict[str, Node]:
    """Return the parameters of a route that sends what was recorded."""
    return _OF_RECORDINGS.get(path, {})


def usage_parameters(path: str) -> dict[str, Node]:
    """Return the parameters of a route of usage, costs or rows; ``switchyard.gateway.usage`` reads them."""
    return _of_rows() if path.endswith("/rows") else _of_buckets(is_costs=path.endswith("/costs"))


def _of_buckets(*, is_costs: bool) -> dict[str, Node]:
    model = "line_item" if is_costs else "model"
    widths, most = (["1d"], 180) if is_costs else (["1m", "1h", "1d"], 1440)
    return {
        **_SHARED,
        "bucket_width": {
            "schema": {"enum": widths, "default": "1d"},
            "description": "In UTC. Costs come by the day; minutes are kept for two days.",
        },
        "group_by": {
            "schema": {"type": "array", "items": {"enum": [*_GROUPS, model]}, "maxItems": 100},
            "description": f"Any of `project_id` (the tenant), `team`, `api_key_id`, `{model}`.",
        },
        "api_key_ids": {"schema": _LIST, "description": "These keys alone."},
        "models": {"schema": _LIST, "description": "These models alone."},
        "limit": {
            "schema": _count(most),
            "description": "How many buckets there are on a page: at most 1440 minutes, 168 hours or 180 days.",
        },
        "page": _page("^[0-9]{1,12}$"),
    }


def _of_rows() -> dict[str, Node]:
    limit = {"schema": _count(1000), "description": "How many rows there are on a page, at most 1000."}
    return {**_SHARED, "limit": limit, "page": _page("^[^:]*(:([0-9]{1,18}(-[0-9]{1,18})?)?)?$")}


def _count(most: int) -> Node:
    return {"type": "integer", "minimum": 1, "maximum": most}


def _page(pattern: str) -> Node:
    return {"schema": {"type": "string", "pattern": pattern}, "description": "`next_page` of the page before."}
