"""The catalog: what is served, derived from InferenceServices and never written by hand."""

from switchyard.catalog.claims import Claim, owner_of, settle
from switchyard.catalog.documents import (
    CONTEXT_LENGTH_ANNOTATION,
    INPUTS_ANNOTATION,
    KIND_LABEL,
    describe,
    hosted,
    hosts_repository,
    revision_of,
)
from switchyard.catalog.file import CatalogFile
from switchyard.catalog.models import Card, Catalog, CatalogError, CatalogSource, Kind, Model, Phase, State
from switchyard.catalog.repository import OLD_SERVED, with_repository

__all__ = [
    "CONTEXT_LENGTH_ANNOTATION",
    "INPUTS_ANNOTATION",
    "KIND_LABEL",
    "OLD_SERVED",
    "Card",
    "Catalog",
    "CatalogError",
    "CatalogFile",
    "CatalogSource",
    "Claim",
    "Kind",
    "Model",
    "Phase",
    "State",
    "describe",
    "hosted",
    "hosts_repository",
    "owner_of",
    "revision_of",
    "settle",
    "with_repository",
]
