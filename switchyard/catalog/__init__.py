"""What is served: one value, derived from InferenceServices and never written by hand.

Local mode derives it from rendered documents, a cluster from a watch on the same objects; the gateway, ``/v1/models``
and ``/v2/repository/index`` read it. A sleeping model stays listed: only names that do not exist are unknown."""

from switchyard.catalog.documents import (
    CONTEXT_LENGTH_ANNOTATION,
    INPUTS_ANNOTATION,
    KIND_LABEL,
    describe,
    hosted,
    hosts_repository,
)
from switchyard.catalog.file import CatalogFile
from switchyard.catalog.models import Catalog, CatalogError, CatalogSource, Kind, Model, Phase, State

__all__ = [
    "CONTEXT_LENGTH_ANNOTATION",
    "INPUTS_ANNOTATION",
    "KIND_LABEL",
    "Catalog",
    "CatalogError",
    "CatalogFile",
    "CatalogSource",
    "Kind",
    "Model",
    "Phase",
    "State",
    "describe",
    "hosted",
    "hosts_repository",
]
