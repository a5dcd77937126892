"""The routes that are not hot, as a FastAPI application, and the OpenAPI document of all routes."""

import re
from typing import Any

from fastapi import FastAPI, Response
from fastapi.openapi.utils import get_openapi
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from switchyard.catalog import CatalogSource
from switchyard.gateway.errors import GatewayError
from switchyard.gateway.listing import server_version
from switchyard.gateway.resolve import read_catalog
from switchyard.gateway.routes import ROUTES, Route

PATHS = frozenset(route.path for route in ROUTES if route.by == "pages")


def pages(source: CatalogSource, registry: CollectorRegistry) -> FastAPI:
    """Health, metrics and documentation."""
    app = FastAPI(
        title="Switchyard gateway", version=server_version(), redoc_url=None, swagger_ui_oauth2_redirect_url=None
    )

    @app.get("/health")
    @app.get("/healthz")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz")
    async def ready(response: Response) -> dict[str, str]:
        try:
            models = len(read_catalog(source).models)
        except GatewayError as err:
            response.status_code = err.status
            return {"status": "not ready", "reason": err.message}
        return {"status": "ready", "models": str(models)}

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, routes=[])
            for route in ROUTES:
                schema.setdefault("paths", {}).setdefault(route.path, {})[route.method.lower()] = _operation(route)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]
    return app


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
