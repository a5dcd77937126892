"""Kubernetes documents in YAML text, as every part of the platform reads them."""

from collections.abc import Iterator
from typing import Any

import yaml

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse_documents(text: str) -> list[Any]:
    """Parse the documents of a YAML stream, less empty ones.

    Of a list, such as ``kubectl get -o yaml`` prints, the items are the documents, as for kubectl and kustomize.

    Raises:
        yaml.YAMLError: the text is not YAML.
    """
    return [document for loaded in yaml.load_all(text, _LOADER) for document in _documents(loaded)]


def _documents(loaded: Any) -> Iterator[Any]:
    items = loaded.get("items") if isinstance(loaded, dict) and str(loaded.get("kind")).endswith("List") else None
    if isinstance(items, list):
        for item in items:
            yield from _documents(item)
    elif loaded is not None:
        yield loaded
