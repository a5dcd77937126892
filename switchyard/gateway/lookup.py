"""Finds models by name in the catalog, of which each tenant sees what it may use."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import translate
from types import MappingProxyType

from switchyard.catalog import Catalog, CatalogError, CatalogSource, Kind, Model
from switchyard.gateway.tenants.directory import Identity
from switchyard.http.api_errors import ApiError

Locate = Callable[[str, Identity | None], Model]
_VIEWS = 256  # kept, one for each set of patterns; most tenants share few
_NOTHING = Catalog({})


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a gateway reads what it serves: to all, and by tenant the instances that are that tenant's own."""

    shared: CatalogSource
    own: Mapping[str, CatalogSource]


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


class Visible:
    """The catalog as each tenant sees it: what all share, and the instances that are a tenant's ``own``, by its name.

    An instance of its own takes the place of a shared one of the same name. A view is kept until a catalog changes.
    """

    def __init__(self, source: CatalogSource, own: Mapping[str, CatalogSource] = MappingProxyType({})) -> None:
        self._source = source
        self._own = own
        self._whole = Catalog({})
        self._views: dict[tuple[str, tuple[tuple[str, ...], ...]], tuple[Catalog, Catalog]] = {}

    def kinds(self) -> Mapping[str, Kind] | None:
        """Return the kind of each model that anybody may use, by its name; None while a catalog cannot be read."""
        try:
            catalogs = [read_catalog(one) for one in (self._source, *self._own.values())]
        except ApiError:
            return None
        return {name: model.kind for catalog in catalogs for name, model in catalog.models.items()}

    def to(self, identity: Identity | None) -> Catalog:
        """Return what ``identity`` may use: everything that is shared in a gateway without keys.

        Raises:
            ApiError: the catalog cannot be read.
        """
        whole = read_catalog(self._source)
        if identity is None:
            return whole
        source = self._own.get(identity.tenant)
        if source is None and not identity.models:
            return whole
        own = _NOTHING if source is None else read_catalog(source)
        if whole is not self._whole or len(self._views) >= _VIEWS:
            self._whole, self._views = whole, {}
        key = "" if source is None else identity.tenant, identity.models
        of, view = self._views.get(key, (None, _NOTHING))
        if of is not own:
            matches = [_any_of(patterns) for patterns in identity.models]
            models = {**whole.models, **own.models}
            view = Catalog({name: model for name, model in models.items() if all(match(name) for match in matches)})
            self._views[key] = own, view
        return view


def _any_of(patterns: Iterable[str]) -> Callable[[str], object]:
    return re.compile("|".join(map(translate, patterns))).match


def locator(visible: Visible) -> Locate:
    """Return a function that finds a model by name, unless it failed and no request would start it again."""

    def locate(name: str, identity: Identity | None) -> Model:
        # What a tenant may not use is not in its catalog: no sentence and no time tells it from what does not exist.
        model = visible.to(identity).get(name)
        if model is None:
            message = f"The model `{name[:200]}` does not exist; GET /v1/models lists those that do."
            raise ApiError("model_not_found", message, param="model")
        if is_unserved(model) and not model.state.retryable:
            raise failure(model)
        return model

    return locate


def own_instances(own: Mapping[str, CatalogSource]) -> Callable[[Identity, Model], bool]:
    """Return a function that says whether a model that somebody calls runs for its tenant alone."""

    def is_own(identity: Identity, model: Model) -> bool:
        source = own.get(identity.tenant)
        if source is None:
            return False
        try:
            theirs = source.current().get(model.name)
        except (CatalogError, OSError):
            return False
        return theirs is not None and theirs.url == model.url

    return is_own


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


def is_unserved(model: Model) -> bool:
    """Whether no request would get a response of the model, however long it waits; one that sleeps wakes."""
    return model.state.phase in ("failed", "pending")


def failure(model: Model) -> ApiError:
    """Return the error for a model that failed, or whose folder is still being checked."""
    reason = model.state.reason or "no reason was recorded"
    if model.state.phase == "pending":
        return ApiError("model_not_ready", f"model {model.name} is not served yet: {reason}", retry_after=1)
    return ApiError("model_failed", f"model {model.name} failed: {reason}", final=not model.state.retryable)


def default_model(visible: Visible, configured: str, identity: Identity | None) -> str:
    """Return the model of forms that name none: the configured one, else the first language model, else empty."""
    if configured and (identity is None or configured in visible.to(identity).models):
        return configured
    return next((model.name for model in visible.to(identity).models.values() if model.kind == "llm"), "")
