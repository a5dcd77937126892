"""The routes that are not hot, as a FastAPI application, and the OpenAPI document of all routes."""

from typing import Any

from fastapi import FastAPI, Response
from fastapi.openapi.utils import get_openapi
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from switchyard.catalog import CatalogSource
from switchyard.gateway.lookup import read_catalog
from switchyard.gateway.routes.openapi import _operation
from switchyard.gateway.routes.table import ROUTES
from switchyard.gateway.stages.listing import server_version
from switchyard.http.api_errors import ApiError

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
        except ApiError as err:
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
