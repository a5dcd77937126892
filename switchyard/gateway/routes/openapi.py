"""The routes as OpenAPI operations."""

import re
from typing import Any

from switchyard.gateway.routes.table import Route


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": route.summary,
        "responses": {"200": {"description": "The answer."}, "default": {"description": "An error."}},
    }
    names = re.findall(r"{(\w+)}", route.path)
    if names:
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
        ]
    if route.body != "none":
        operation["requestBody"] = {"required": True, "content": _content(route)}
    return operation


def _content(route: Route) -> dict[str, Any]:
    if route.shape == "text":
        return {"text/plain": {"schema": {"type": "string"}}}
    content: dict[str, Any] = {"application/json": {"schema": {"type": "object"}}}
    if route.upstream.startswith("/v1/vision/"):
        picture = {"type": "string", "format": "binary"}
        fields = {"type": "object", "properties": {"image": picture}}
        content |= {"image/*": {"schema": picture}, "multipart/form-data": {"schema": fields}}
    return content
