"""A model of the Hugging Face hub, by huggingface_hub, which reads HF_TOKEN and HF_ENDPOINT.

Its own download checks sizes alone and keeps a cache of its own; here every file is checked by the hub's SHA-256 or
git id, and read from a commit, which nobody can move.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import PurePosixPath
from typing import Any

from switchyard.repository.names import quoted
from switchyard.repository.sources.connecting import Access, unreachable
from switchyard.repository.sources.listing import bounded
from switchyard.repository.sources.remote import (
    Checksum,
    Remote,
    RemoteFile,
    SourceChangedError,
    SourceError,
)
from switchyard.repository.sources.stores.bounds import too_long
from switchyard.repository.sources.stores.located import LocatedSource
from switchyard.repository.sources.stores.reach import astray
from switchyard.repository.sources.stores.settings import misconfigured

_ACCESS = Access(
    address="HF_ENDPOINT, if it is set,", authorities="SSL_CERT_FILE", plain="write http:// in HF_ENDPOINT"
)
_IS_FILE = "switchyard.file"  # on a request whose response is read as it comes
_LISTING_BYTES = 32 << 20  # 40,000 files with some 500 bytes of JSON each, and half as much again
_SECONDS = 30.0  # without a byte; a whole file may take hours
# Weights of other frameworks, most of them pickles, which the platform never loads.
_OTHER_WEIGHTS = frozenset(
    (".bin", ".ckpt", ".gguf", ".h5", ".joblib", ".msgpack", ".ot", ".pickle", ".pkl", ".pt", ".pth", ".tflite")
)
_OTHER_FOLDERS = frozenset(("coreml", "onnx", "openvino", "original"))


@dataclass(frozen=True, kw_only=True, slots=True)
class HubSource(LocatedSource):
    """``hf://owner/model[:revision]``; without a revision it is ``main``."""

    api: Any = field(default_factory=lambda: _api())

    def resolve(self) -> Remote:
        """List the files of the commit that the revision names now.

        Raises:
            SourceError: there is no such model or revision, HF_TOKEN may not read it, or too many files.
        """
        with _errors(self.uri):
            info = self.api.model_info(
                self._model, revision=self.location.revision or None, files_metadata=True, timeout=_SECONDS
            )
        names = {sibling.rfilename for sibling in info.siblings or ()}
        left_out = tuple(sorted(name for name in names if _is_left_out(name, names)))
        taken = (sibling for sibling in info.siblings or () if sibling.rfilename not in left_out)
        files = bounded(self.uri, (self._file(sibling, info.sha) for sibling in taken), self.limits)
        return Remote(uri=self.uri, revision=info.sha, files=files, left_out=left_out)

    def read(self, file: RemoteFile, start: int) -> Iterator[bytes]:
        """Yield the file of the listed commit from byte ``start`` on.

        Raises:
            SourceError: it cannot be read.
        """
        from huggingface_hub.utils._headers import build_hf_headers
        from huggingface_hub.utils._http import get_session, hf_raise_for_status

        headers = {**build_hf_headers(token=self.api.token), "range": f"bytes={start}-", "accept-encoding": "identity"}
        with (
            _errors(f"{self.uri}: {quoted(file.path)}"),
            get_session().stream(
                "GET", file.key, headers=headers, timeout=_SECONDS, follow_redirects=True, extensions={_IS_FILE: True}
            ) as response,
        ):
            hf_raise_for_status(response)
            if start and response.status_code != 206:
                raise SourceError(f"{self.uri}: {quoted(file.path)} cannot be read from byte {start:,} on")
            yield from response.iter_raw()  # as it comes: what came before a break is kept

    def checksum(self, file: RemoteFile) -> Checksum | None:
        """Return what the hub listed: the SHA-256 of a large file, git's id of a small one."""
        return file.checksum

    @property
    def _model(self) -> str:
        return f"{self.location.place}/{self.location.path}"

    def _file(self, sibling: Any, commit: str) -> RemoteFile:
        from huggingface_hub import hf_hub_url

        if sibling.lfs:
            checksum = Checksum(algorithm="sha256", value=sibling.lfs.sha256)
        else:
            checksum = Checksum(algorithm="git-sha1", value=sibling.blob_id)
        url = hf_hub_url(self._model, sibling.rfilename, revision=commit, endpoint=self.api.endpoint)
        return RemoteFile(path=sibling.rfilename, key=url, size=sibling.size, etag=checksum.value, checksum=checksum)


def _is_left_out(name: str, names: set[str]) -> bool:
    path = PurePosixPath(name)
    if path.name.startswith(".git"):
        return True
    if not any("/" not in other and other.endswith(".safetensors") for other in names):
        return False
    return path.suffix in _OTHER_WEIGHTS or path.parts[0] in _OTHER_FOLDERS


def _api() -> Any:
    from huggingface_hub import HfApi

    _bound_responses()
    return HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=os.environ.get("HF_TOKEN"))


@cache
def _bound_responses() -> None:
    """Let the library's client, which all its calls share, read no more of a response than a listing has."""
    from huggingface_hub import set_client_factory
    from huggingface_hub.utils._http import default_client_factory

    def client() -> Any:
        made = default_client_factory()
        made.event_hooks["response"].append(_bound)
        return made

    set_client_factory(client)


def _bound(response: Any) -> None:
    if response.has_redirect_location:
        url = str(response.url.join(response.headers["location"]))
        if reason := astray(url, str(response.url)):
            raise SourceError(f"{response.url.host} redirects to where no request is sent: it {reason}")
    if response.is_success and _IS_FILE in response.request.extensions:
        return
    content = bytearray()
    for chunk in response.iter_bytes():
        content += chunk
        if len(content) > _LISTING_BYTES:
            raise too_long(_LISTING_BYTES)
    response._content = bytes(content)  # where it is looked for by who reads it now


@contextmanager
def _errors(subject: str) -> Iterator[None]:
    """Turn the hub's errors into ours; their texts hold URLs, which may be presigned, so none is repeated."""
    from httpx2 import HTTPError, InvalidURL, RequestError
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        yield
    except RevisionNotFoundError:
        raise SourceError(f"{subject} has no such revision: name a branch, tag or commit of it") from None
    except GatedRepoError:
        raise SourceError(
            f"{subject} is gated: accept its terms at the hub, and set HF_TOKEN to a token of yours"
        ) from None
    except RepositoryNotFoundError:
        raise SourceError(f"{subject} is not at the hub, or HF_TOKEN may not read it") from None
    except HFValidationError:
        raise SourceError(f"{subject} is no name of a model at the hub: write hf://owner/model") from None
    except HfHubHTTPError as err:
        status = err.response.status_code
        if status in (404, 416):
            raise SourceChangedError(f"{subject} was removed since it was listed") from None
        if status in (401, 403):
            told = "the hub does not take HF_TOKEN for it; set one that may read it, or none for a public model"
            raise SourceError(f"{subject} cannot be read: {told}") from None
        raise SourceError(
            f"{subject} cannot be read: the hub responded with status {status}",
            transient=status in (408, 429) or status >= 500,
        ) from None
    except (RequestError, InvalidURL, UnicodeError) as err:
        raise _unsent(subject, err) from None
    except (HTTPError, OSError) as err:
        raise SourceError(f"{subject} cannot be read: {type(err).__name__}", transient=True) from None


def _unsent(subject: str, err: Exception) -> SourceError:
    from httpx2 import LocalProtocolError, RequestError, UnsupportedProtocol

    if isinstance(err, RequestError) and not isinstance(err, UnsupportedProtocol | LocalProtocolError):
        return unreachable(subject, str(err.request.url), err, _ACCESS)
    return misconfigured(subject, "hf", err)
