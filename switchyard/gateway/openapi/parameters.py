"""The query parameters of usage, costs and lists, which are OpenAI's, and of the rows of calls."""

from collections.abc import Mapping
from typing import Any

from switchyard.gateway.openapi.schemas import COUNT, TEXT

_LIST = {"type": "array", "items": TEXT}

USAGE_PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "start_time": {"required": True, "schema": COUNT, "description": "In seconds since 1970."},
    "end_time": {"schema": COUNT, "description": "Now, if absent."},
    "bucket_width": {
        "schema": {"enum": ["1m", "1h", "1d"], "default": "1d"},
        "description": "In UTC. Costs come by the day; minutes are kept for two days.",
    },
    "group_by": {
        "schema": _LIST,
        "description": "Any of `project_id` (the tenant), `team`, `api_key_id`, `model` (of costs: `line_item`).",
    },
    "project_ids": {"schema": _LIST, "description": "These tenants alone."},
    "api_key_ids": {"schema": _LIST, "description": "These keys alone."},
    "models": {"schema": _LIST, "description": "These models alone."},
    "limit": {"schema": COUNT, "description": "How many buckets there are on a page."},
    "page": {"schema": TEXT, "description": "`next_page` of the page before."},
}

ROWS_PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    **{name: USAGE_PARAMETERS[name] for name in ("start_time", "end_time", "project_ids", "page")},
    "limit": {"schema": COUNT, "description": "How many rows there are on a page, at most 1000."},
}

LIST_PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "after": {"schema": TEXT, "description": "The `last_id` of the page before."},
    "limit": {"schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}},
    "order": {"schema": {"enum": ["asc", "desc"], "default": "asc"}, "description": "By the time of creation."},
}
