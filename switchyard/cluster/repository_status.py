"""The ConfigMap in which the repository sync tells the gateway the state of every folder."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from switchyard.repository.status import STATUS, ModelStatus, RepositoryStatus, StatusError

NAME = "model-repository-status"
_LARGEST = 1_000_000  # bytes; the API server takes ConfigMaps of 1 MiB


def of(config_maps: Iterable[Mapping[str, Any]], on_error: Callable[[str], None]) -> RepositoryStatus | None:
    """Return the status in the ConfigMap; None if there is none, or it is none, which ``on_error`` is told."""
    for document in config_maps:
        text = (document.get("data") or {}).get(STATUS)
        if document["metadata"]["name"] != NAME or not text:
            continue
        try:
            return RepositoryStatus.loads(text)
        except StatusError as err:
            on_error(f"ConfigMap {NAME}: {err}")
    return None


def data(status: RepositoryStatus) -> dict[str, str]:
    """Return what the ConfigMap is to hold: what the gateway shows, without progress, which changes all the time.

    Raises:
        StatusError: that is more than a ConfigMap holds.
    """
    text = RepositoryStatus(models=tuple(_shown(model) for model in status.models)).dumps()
    if len(text.encode()) > _LARGEST:
        raise StatusError(
            f"the status of {len(status.models)} models has {len(text.encode()):,} bytes, of {_LARGEST:,} that a "
            f"ConfigMap takes: {NAME} stays as it was"
        )
    return {STATUS: text}


def _shown(model: ModelStatus) -> ModelStatus:
    facts = replace(model.facts, config="", inputs=(), outputs=(), notes=()) if model.facts else None
    return replace(model, facts=facts, progress=(0, 0), seconds=None)
