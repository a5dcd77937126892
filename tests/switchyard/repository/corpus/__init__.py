"""More than 120 folders, each with what has to be said of it; made by code, so that git holds no models."""

from tests.switchyard.repository.corpus import (
    chat_broken,
    chat_good,
    embedding_broken,
    ensembles,
    estimators,
    hostile,
    hostile_configs,
    python_models,
    triton_configs,
    triton_files,
    triton_good,
    triton_graphs,
)
from tests.switchyard.repository.corpus.case import Case

_MODULES = (
    estimators,
    triton_good,
    ensembles,
    chat_good,
    triton_configs,
    triton_graphs,
    triton_files,
    chat_broken,
    embedding_broken,
    hostile,
    hostile_configs,
    python_models,
)
CASES: tuple[Case, ...] = tuple(case for module in _MODULES for case in module.CASES)
