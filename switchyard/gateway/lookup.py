"""Finds models by name in the catalog."""

from collections.abc import Callable

from switchyard.catalog import Catalog, CatalogError, CatalogSource, Model
from switchyard.http.api_errors import ApiError

Locate = Callable[[str], Model]


def read_catalog(source: CatalogSource) -> Catalog:
    """Return the current catalog.

    Raises:
        ApiError: it cannot be read.
    """
    try:
        return source.current()
    except (CatalogError, OSError) as err:
        message = "the list of models cannot be read; try again"
        raise ApiError("catalog_unreadable", message, retry_after=5) from err


def locator(source: CatalogSource) -> Locate:
    """Return a function that finds a model by name, unless it failed and no request would start it again."""

    def locate(name: str) -> Model:
        model = read_catalog(source).get(name)
        if model is None:
            message = f"The model `{name[:200]}` does not exist; GET /v1/models lists those that do."
            raise ApiError("model_not_found", message, param="model")
        if model.state.phase == "failed" and not model.state.retryable:
            raise failure(model)
        return model

    return locate


def waits_for(source: CatalogSource) -> Callable[[str], str]:
    """Return a function that says why a waking model is not ready yet; empty if nobody knows, or it is not waking."""

    def reason(name: str) -> str:
        try:
            model = source.current().get(name)
        except (CatalogError, OSError):
            return ""
        return model.state.reason if model is not None and model.state.phase == "waking" else ""

    return reason


def require_version(model: Model, version: str) -> None:
    """Check the version that a V2 request names, empty for none.

    Raises:
        ApiError: the model does not have it.
    """
    if not has_version(model, version):
        versions = ", ".join(model.versions)
        raise ApiError("model_not_found", f"model {model.name} has no version {version}; it has {versions}")


def has_version(model: Model, version: str) -> bool:
    """Whether a model has a version, as far as the catalog knows; an empty one is any."""
    return not version or not model.versions or version in model.versions


def failure(model: Model) -> ApiError:
    """Return the error for a model that failed."""
    reason = model.state.reason or "no reason was recorded"
    after = 1 if model.state.retryable else 10
    return ApiError("model_failed", f"model {model.name} failed: {reason}", retry_after=after)


def default_model(source: CatalogSource, configured: str) -> str:
    """Return the model of forms that name none: the configured one, else the first language model, else empty."""
    if configured:
        return configured
    return next((model.name for model in read_catalog(source).models.values() if model.kind == "llm"), "")
