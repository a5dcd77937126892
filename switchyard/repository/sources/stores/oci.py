"""An artifact of an OCI registry, whose layers are the files of a model, as ``oras push`` makes it.

oras answers the registry's challenges and knows its addresses. Its ``pull`` compares no digests and waits for ever, so
manifests and blobs are read here. Credentials are OCI_USERNAME and OCI_PASSWORD, which are for OCI_REGISTRY, or those
of docker's configuration.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from switchyard.repository.names import quoted
from switchyard.repository.sources.connecting import Access, unreachable
from switchyard.repository.sources.listing import bounded
from switchyard.repository.sources.remote import Checksum, Remote, RemoteFile, SourceChangedError, SourceError
from switchyard.repository.sources.stores.bounds import bound
from switchyard.repository.sources.stores.located import LocatedSource
from switchyard.repository.sources.stores.settings import misconfigured

_CHUNK = 1 << 18
_ACCESS = Access(address="the registry's address", authorities="REQUESTS_CA_BUNDLE", plain="name it in OCI_PLAIN_HTTP")
_SECONDS = (10.0, 30.0)  # to connect, and without a byte
# What registries take: https://github.com/opencontainers/distribution-spec (pushing manifests).
_MANIFEST_BYTES = 4 << 20
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_TITLE = "org.opencontainers.image.title"  # the path of a file in an artifact
_UNPACK = "io.deis.oras.content.unpack"  # on a folder, which oras packs as an archive
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True, kw_only=True, slots=True)
class OciSource(LocatedSource):
    """``oci://registry/name:tag`` or ``oci://registry/name@sha256:…``; without either it is ``latest``."""

    registry: Any = field(default=None)

    def resolve(self) -> Remote:
        """Read the manifest that the tag names now; its digest is the revision.

        Raises:
            SourceError: there is none, it may not be read, or it is not of files.
        """
        reference = self.location.revision or "latest"
        with _errors(self.uri, self._address), self._get(f"manifests/{reference}", {"accept": _MANIFEST}) as response:
            body = response.raw.read(_MANIFEST_BYTES + 1, decode_content=True)
        if len(body) > _MANIFEST_BYTES:
            raise SourceError(f"{self.uri} has a manifest of more than {_MANIFEST_BYTES:,} bytes")
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        if reference.startswith("sha256:") and digest != reference:
            raise SourceError(f"{self.uri} has a manifest with the digest {digest}: the registry is damaged")
        try:
            layers = json.loads(body)["layers"]
            files = [self._file(layer) for layer in layers]
        except (ValueError, KeyError, TypeError):
            raise SourceError(
                f"{self.uri} is no artifact of files: push one with `oras push {self.location.place}/"
                f"{self.location.path}:TAG FILE…`"
            ) from None
        return Remote(uri=self.uri, revision=digest, files=bounded(self.uri, files, self.limits))

    def read(self, file: RemoteFile, start: int) -> Iterator[bytes]:
        """Yield the blob from byte ``start`` on.

        Raises:
            SourceError: it cannot be read.
        """
        name = f"{self.uri}: {quoted(file.path)}"
        headers = {"range": f"bytes={start}-"} if start else {}
        with (
            _errors(name, self._address),
            self._get(f"blobs/{file.key}", {**headers, "accept-encoding": "identity"}) as response,
        ):
            if start and response.status_code != 206:
                raise SourceError(f"{name} cannot be read from byte {start:,} on")
            yield from response.iter_content(_CHUNK)

    def checksum(self, file: RemoteFile) -> Checksum | None:
        """Return the digest that the manifest names."""
        return file.checksum

    @property
    def _address(self) -> str:
        return f"https://{self.location.place}"

    def _file(self, layer: Mapping[str, Any]) -> RemoteFile:
        annotations = layer.get("annotations") or {}
        if annotations.get(_UNPACK) == "true" or _TITLE not in annotations:
            raise TypeError("an archive, as container images have")
        algorithm, _, value = layer["digest"].partition(":")
        if algorithm != "sha256":
            raise TypeError("another digest")
        checksum = Checksum(algorithm="sha256", value=value)
        return RemoteFile(
            path=annotations[_TITLE], key=layer["digest"], size=int(layer["size"]), etag=value, checksum=checksum
        )

    @contextmanager
    def _get(self, what: str, headers: dict[str, str]) -> Iterator[Any]:
        registry = self.registry or _registry(self.location.place)
        if not registry.auth.use_environment():
            registry.auth.load_configs(registry.get_container(f"{self.location.place}/{self.location.path}"))
        url = f"{registry.prefix}://{self.location.place}/v2/{self.location.path}/{what}"
        # Without its retries, which sleep for minutes: whoever fetches has its own.
        request = type(registry).do_request.__wrapped__
        response = request(registry, url, headers=headers, stream=True)
        with response:
            response.raise_for_status()
            yield response


def _registry(host: str) -> Any:
    from oras.provider import Registry
    from requests.adapters import HTTPAdapter

    from switchyard.repository.sources.stores.oci_access import RegistryAuth

    class Impatient(HTTPAdapter):  # type: ignore[misc]
        """Ends requests of oras, which names no timeout."""

        def send(self, *args: Any, **kwargs: Any) -> Any:
            return super().send(*args, **{**kwargs, "timeout": _SECONDS})

    registry = Registry(host, insecure=host.partition(":")[0] in _LOOPBACK or host in _plain_http())
    registry.auth = RegistryAuth(host, registry.session, registry.prefix)
    for scheme in ("http://", "https://"):
        registry.session.mount(scheme, Impatient())
    registry.session.hooks["response"].append(_bound)
    return registry


def _bound(response: Any, *, stream: bool = False, **_: Any) -> None:
    if not stream or response.is_redirect:  # a token, or what nobody looks at; the others are read as they come
        bound(response.raw)


def _plain_http() -> list[str]:
    return os.environ.get("OCI_PLAIN_HTTP", "").split(",")


@contextmanager
def _errors(subject: str, address: str) -> Iterator[None]:
    """Turn the library's errors into ours; theirs hold URLs, which may be presigned, so none is repeated."""
    from oras.auth import AuthenticationException
    from requests import HTTPError, RequestException
    from requests.exceptions import InvalidURL
    from urllib3.exceptions import HTTPError as StreamError

    try:
        yield
    except HTTPError as err:
        status = err.response.status_code
        if status in (404, 416):
            raise SourceChangedError(f"{subject} is not in the registry, or was removed from it") from None
        if status in (401, 403):
            raise _denied(subject) from None
        transient = status in (408, 429) or status >= 500
        raise SourceError(
            f"{subject} cannot be read: the registry responded with status {status}", transient=transient
        ) from None
    except (InvalidURL, json.JSONDecodeError, TypeError, KeyError, AttributeError) as err:
        raise misconfigured(subject, "oci", err) from None
    except (RequestException, StreamError, OSError) as err:
        raise unreachable(subject, address, err, _ACCESS) from None
    except (AuthenticationException, ValueError):
        raise _denied(subject) from None


def _denied(subject: str) -> SourceError:
    settings = "OCI_REGISTRY, OCI_USERNAME and OCI_PASSWORD"
    return SourceError(f"{subject} may not be read: set {settings}, or log in with docker")
