"""Where a model comes from, as a person writes it: ``[group/name=]scheme://place/path[:revision][?follow=true]``."""

import os
import re
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import parse_qsl, urlsplit

from switchyard.repository.sources.remote import SourceError
from switchyard.repository.verdict import Group

Scheme = Literal["s3", "gs", "hf", "oci", "pvc", "file"]
# Buckets and folders are where people drop models; a tag of a hub or registry is a name that others may move.
_FOLLOWED: frozenset[Scheme] = frozenset(("s3", "gs", "pvc", "file"))
_NAMED = re.compile(r"(?:(?P<group>[a-z]+)/)?(?P<name>[a-z0-9][a-z0-9-]*)=(?P<uri>.+)", re.DOTALL)
_HUB_PAGES = ("huggingface.co", "www.huggingface.co", "hf.co")
_LONGEST = 1024  # S3's longest key; longer ones are nobody's


@dataclass(frozen=True, kw_only=True, slots=True)
class Location:
    """A parsed address.

    ``place`` is the bucket, the hub's owner, the registry's host or the claim; ``path`` has no slash at either end.
    ``revision`` is empty where the address names none. ``group`` and ``name`` are where the model goes, if they were
    written before the address.
    """

    scheme: Scheme
    place: str
    path: str
    revision: str = ""
    follows: bool = False
    group: Group | None = None
    name: str = ""

    @property
    def uri(self) -> str:
        if self.scheme == "file":
            return f"/{self.path}"
        tail = f"/{self.path}" if self.path else ""
        mark = "@" if self.revision.startswith("sha256:") else ":"
        return f"{self.scheme}://{self.place}{tail}{mark + self.revision if self.revision else ''}"


def parse(text: str) -> Location:
    """Parse the address ``text``; a plain path is a folder.

    Raises:
        SourceError: it is none, or it holds a user and password, which it does not repeat.
    """
    if len(text) > _LONGEST:
        raise SourceError(f"An address of {len(text)} characters is too long: use at most {_LONGEST}")
    group, name, uri = _named(text)
    if "://" not in uri:
        path = os.path.abspath(uri).strip("/")
        return Location(scheme="file", place="", path=path, follows=True, group=group, name=name)
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise SourceError("The address cannot be read: write scheme://place/path") from None
    if parts.hostname in _HUB_PAGES and parts.scheme in ("http", "https"):
        model = "/".join(parts.path.strip("/").split("/")[:2]) or "owner/model"
        raise SourceError(f"{parts.scheme}:// is the hub's web page of the model: write hf://{model}")
    if "@" in parts.netloc:
        raise SourceError(
            f"The {parts.scheme}:// address has a user or password in it: leave it out, credentials are read from the "
            "environment"
        )
    scheme = _scheme(parts.scheme)
    follows = _follows(parts.query, scheme in _FOLLOWED)
    path, revision = _revision(parts.path.strip("/"), scheme)
    if ".." in path.split("/"):
        raise SourceError(f"{uri!r} leaves its {_PLACES[scheme]}: write the path without ..")
    place = parts.netloc
    if not place and scheme != "file":
        raise SourceError(f"{scheme}:// has no {_PLACES[scheme]}: write {_EXAMPLES[scheme]}")
    if scheme in ("hf", "oci") and not path:
        raise SourceError(f"{uri!r} names no model: write {_EXAMPLES[scheme]}")
    return Location(scheme=scheme, place=place, path=path, revision=revision, follows=follows, group=group, name=name)


def base_of(uri: str) -> str:
    """Return an address without its revision: the same model, whichever content of it."""
    scheme, mark, rest = uri.partition("://")
    if scheme not in ("hf", "oci"):
        return uri
    folder, slash, last = rest.rpartition("/")
    return f"{scheme}{mark}{folder}{slash}{re.split('[:@]', last)[0]}"


_PLACES = {"file": "folder", "s3": "bucket", "gs": "bucket", "hf": "owner", "oci": "registry", "pvc": "claim"}
_EXAMPLES = {
    "s3": "s3://bucket/prefix",
    "gs": "gs://bucket/prefix",
    "hf": "hf://owner/model or hf://owner/model:revision",
    "oci": "oci://registry/name:tag",
    "pvc": "pvc://claim/path",
}


def _named(text: str) -> tuple[Group | None, str, str]:
    """Split what is written before the address; an ``=`` behind ``://`` is the address's own."""
    before = text.partition("://")[0]
    if "=" not in before:
        return None, "", text
    match = _NAMED.fullmatch(text)
    if match is None or match["group"] not in (None, *get_args(Group)):
        raise SourceError(f"{before!r} is no model's name: write vision/NAME=ADDRESS, llm/NAME=ADDRESS or NAME=ADDRESS")
    group: Group | None = match["group"]  # type: ignore[assignment]
    return group, match["name"], match["uri"]


def _scheme(text: str) -> Scheme:
    for scheme in get_args(Scheme):
        if text == scheme:
            return scheme  # type: ignore[no-any-return]
    known = ", ".join(f"{scheme}://" for scheme in get_args(Scheme) if scheme != "file")
    raise SourceError(f"{text[:40]!r} is no source of models: use a folder, {known}")


def _follows(query: str, default: bool) -> bool:
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name != "follow" or value not in ("true", "false"):
            # The query is not repeated, because that of a presigned URL is a credential.
            raise SourceError("The address has a query that is not known: only ?follow=true or ?follow=false is read")
        default = value == "true"
    return default


def _revision(path: str, scheme: Scheme) -> tuple[str, str]:
    if scheme not in ("hf", "oci"):
        return path, ""
    if scheme == "oci" and "@" in path:
        name, _, digest = path.partition("@")
        return name, digest
    name, _, revision = path.partition(":")
    return name, revision
