"""References in URLs, args and settings: the hosts, claims and models that they name."""

import ipaddress
import re
from collections.abc import Iterator, Mapping, Set
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

from switchyard.local.plan.references.objects import TRANSFORMED, Dangling, Document, Host, Objects, namespace_of, where

_URL = re.compile(r"\b(?:https?|grpcs?|rediss?)://[^\s\"',;]+")
_CLAIM_URL = re.compile(r"\bpvc://([^\s/]+)")
_PORT = re.compile(r":\d+$")
_PORTS = {"http": 80, "https": 443, "redis": 6379, "rediss": 6379}
_SERVICE = re.compile(r"([^.]+)\.([^.]+)\.svc(?:\.cluster\.local)?")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_MODEL = re.compile(r"/v[12]/models/([^/:?]+)")
# Args and settings of ours whose value is a model's name.
_NAMED = re.compile(r"(?:--fast|--reasoning|DEFAULT_MODEL)=(.+)")
_FIELDS = ("spec", "data")
_CLAIM = "PersistentVolumeClaim"
_SERVING = ("InferenceService", "InferenceGraph", "Service")


def dangling(objects: Objects) -> Iterator[Dangling]:
    """Yield each URL, arg or setting that names a service or model that is not there."""
    for document, place, text in _texts(objects):
        for url in _URL.findall(text):
            yield from _faults(f"{place} {url}, and", url, objects, namespace_of(document))
        if named := _NAMED.fullmatch(text):
            yield from _unserved(f"{place} {text}, and", named[1], objects)


def dangling_claims(objects: Objects) -> Iterator[Dangling]:
    """Yield each pvc:// that names a claim that is not there; on one machine a claim is a folder."""
    for document, place, text in _texts(objects):
        for claim in _CLAIM_URL.findall(text):
            if not objects.has(_CLAIM, namespace_of(document) or None, claim):
                yield objects.missing(f"{place} {text}, and the overlay has no {_CLAIM} {claim}", (_CLAIM,), claim)


def _texts(objects: Objects) -> Iterator[tuple[Document, str, str]]:
    """Yield every text of every document, and its place for messages."""
    for document in objects.documents:
        for path, text in _leaves({field: document.get(field) for field in _FIELDS}, ""):
            yield document, f"{where(document)}: {path} is", text


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield every text with its path; an entry of a map of settings as ``NAME=value``."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            below = f"{path}.{key}".removeprefix(".")
            setting = isinstance(item, str) and "://" not in item
            yield from ((below, f"{key}={item}"),) if setting else _leaves(item, below)
    elif isinstance(value, list):
        for item in value:
            named = isinstance(item, Mapping) and "value" in item and "name" in item
            yield from _leaves({str(item["name"]): item["value"]} if named else item, f"{path}[]")
    elif isinstance(value, str):
        yield path, value


def _faults(place: str, url: str, objects: Objects, namespace: str) -> Iterator[Dangling]:
    try:
        parts = urlsplit(url)
        name, port = _PORT.sub("", parts.netloc.rpartition("@")[2]), parts.port  # `hostname` would be in lower case
    except ValueError as err:
        yield Dangling(f"{place} that is no URL ({err})")
        return
    found = _place(name, namespace, objects.namespaces)
    if found is None:
        return
    name, namespace = found
    host = objects.hosts.get(found)
    if host is not None:
        yield from _of_host(place, host, port or _PORTS.get(parts.scheme, 80), parts, objects)
    elif not _LABEL.fullmatch(namespace or "x"):
        yield Dangling(f"{place} no namespace is called {namespace}", TRANSFORMED)
    elif namespace in objects.namespaces | {""}:
        text = f"{place} the overlay has no service {name}"
        yield objects.missing(text, _SERVING, re.sub(r"-(predictor|transformer)$", "", name))
    elif any(name == known for known, _ in objects.hosts):
        yield Dangling(f"{place} {name} is not in namespace {namespace} here", TRANSFORMED)


def _place(host: str, namespace: str, namespaces: Set[str]) -> tuple[str, str] | None:
    """Return the service and namespace that a host name of Kubernetes means, None for a host of the world."""
    if "{{" in host or host == "localhost" or _is_address(host):
        return None
    if service := _SERVICE.fullmatch(host):
        return service[1], service[2]
    name, _, rest = host.partition(".")
    return (name, rest or namespace) if not rest or rest in namespaces else None


def _of_host(place: str, host: Host, port: int, parts: SplitResult, objects: Objects) -> Iterator[Dangling]:
    if port not in host.ports:
        yield Dangling(f"{place} that service's ports are {', '.join(map(str, sorted(host.ports))) or 'none'}")
    model = _MODEL.match(parts.path)
    if host.models is not None and model and model[1] not in host.models:
        yield Dangling(f"{place} that service serves {', '.join(sorted(host.models))}")
    for asked in parse_qs(parts.query).get("model", ()):
        yield from _unserved(place, asked, objects)


def _unserved(place: str, name: str, objects: Objects) -> Iterator[Dangling]:
    if name not in objects.models:
        yield objects.missing(f"{place} the overlay serves no model {name}", _SERVING, name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
