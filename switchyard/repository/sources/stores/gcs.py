"""Objects below a prefix of a Google Cloud Storage bucket, by its own client.

Credentials are Google's application default ones (GOOGLE_APPLICATION_CREDENTIALS, workload identity); without any, a
public bucket is read.
"""

import os
from base64 import b64decode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from switchyard.repository.names import quoted
from switchyard.repository.sources.connecting import Access, unreachable
from switchyard.repository.sources.listing import bounded, paged, revision_of
from switchyard.repository.sources.remote import Checksum, Remote, RemoteFile, SourceChangedError, SourceError
from switchyard.repository.sources.stores.bounds import bound
from switchyard.repository.sources.stores.located import LocatedSource
from switchyard.repository.sources.stores.settings import misconfigured

_PART = 8 << 20  # bytes of one request: the client gives its content as a whole
_ACCESS = Access(
    address="STORAGE_EMULATOR_HOST, if it is set,",
    authorities="REQUESTS_CA_BUNDLE",
    plain="write http:// in STORAGE_EMULATOR_HOST",
)
_SECONDS = (10.0, 30.0)  # to connect, and without a byte


@dataclass(frozen=True, kw_only=True, slots=True)
class GcsSource(LocatedSource):
    """The objects of ``location``; one read names the generation that was listed, so that two contents never mix."""

    client: Any = field(default_factory=lambda: _client())

    def resolve(self) -> Remote:
        """List the objects below the prefix, 1,000 with each request.

        Raises:
            SourceError: the bucket cannot be listed, or has no objects, or too many.
        """
        prefix = f"{self.location.path}/" if self.location.path else ""
        with _errors(self.uri, self._address):
            blobs = self.client.list_blobs(self.location.place, prefix=prefix, timeout=_SECONDS, retry=None)
            pages = paged(self.uri, blobs.pages, self.limits)
            files = bounded(self.uri, _files(chain.from_iterable(pages), prefix), self.limits)
        return Remote(uri=self.uri, revision=revision_of(files), files=files)

    def read(self, file: RemoteFile, start: int) -> Iterator[bytes]:
        """Yield the object from byte ``start`` on, in parts.

        Raises:
            SourceChangedError: the listed generation is gone.
            SourceError: it cannot be read.
        """
        blob = self.client.bucket(self.location.place).blob(file.key, generation=int(file.etag))
        with _errors(f"{self.uri}: {quoted(file.path)}", self._address, listed=True):
            for at in range(start, file.size, _PART):
                end = min(at + _PART, file.size) - 1
                # The checksum of a part is nowhere; that of the whole is compared when it is there.
                yield blob.download_as_bytes(
                    start=at, end=end, raw_download=True, checksum=None, timeout=_SECONDS, retry=None
                )

    @property
    def _address(self) -> str:
        return str(self.client._connection.API_BASE_URL)

    def checksum(self, file: RemoteFile) -> Checksum | None:
        """Return the MD5 that was listed, or the CRC-32C of an object that was composed of others."""
        return file.checksum


def _files(blobs: Iterable[Any], prefix: str) -> Iterator[RemoteFile | None]:
    for blob in blobs:
        path = blob.name.removeprefix(prefix)
        if not path or path.endswith("/"):
            yield None  # consoles make empty objects to show a folder
            continue
        yield RemoteFile(path=path, key=blob.name, size=blob.size, etag=str(blob.generation), checksum=_checksum(blob))


def _checksum(blob: Any) -> Checksum | None:
    if blob.md5_hash:
        return Checksum(algorithm="md5", value=b64decode(blob.md5_hash).hex())
    return Checksum(algorithm="crc32c", value=b64decode(blob.crc32c).hex()) if blob.crc32c else None


def _client() -> Any:
    from google.auth.exceptions import DefaultCredentialsError
    from google.cloud.storage import Client

    try:
        client = Client()
    except (DefaultCredentialsError, OSError) as err:  # OSError: no project is named, which reading needs not
        if os.environ.get("GOOGLE_APPLICATION_CREDENTIALS") and getattr(err, "errno", 0) is not None:
            raise  # that it names is not for nothing
        client = Client.create_anonymous_client()
    # For the labels of its spans it would ask about the bucket, in a thread that goes on for minutes after a failure.
    client._bucket_metadata_cache = None
    # A part of an object is as long as a page may be, so nothing that comes is longer.
    client._http.hooks["response"].append(_bound)
    return client


def _bound(response: Any, **_: Any) -> None:
    bound(response.raw)


@contextmanager
def _errors(subject: str, address: str, *, listed: bool = False) -> Iterator[None]:
    """Turn the client's errors into ours; their texts hold URLs, so none is repeated."""
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.exceptions import GoogleAuthError, TransportError
    from requests import RequestException
    from requests.exceptions import InvalidSchema, InvalidURL, MissingSchema

    try:
        yield
    except GoogleAPICallError as err:
        status = int(err.code or 0)
        if status in (404, 412, 416) and listed:
            raise SourceChangedError(f"{subject} was replaced or removed since it was listed") from None
        if status == 404:
            raise SourceError(f"{subject} cannot be read: there is no such bucket") from None
        if status in (401, 403):
            told = "these credentials may not read it; set GOOGLE_APPLICATION_CREDENTIALS to the file of some that may"
            raise SourceError(f"{subject} cannot be read: {told}") from None
        transient = status in (408, 429) or status >= 500
        raise SourceError(
            f"{subject} cannot be read: the store responded with status {status}", transient=transient
        ) from None
    except (MissingSchema, InvalidSchema, InvalidURL) as err:
        raise misconfigured(subject, "gs", err) from None
    except (TransportError, RequestException, OSError) as err:
        raise unreachable(subject, address, err, _ACCESS) from None
    except GoogleAuthError:
        raise SourceError(f"{subject} cannot be read: GOOGLE_APPLICATION_CREDENTIALS are not taken") from None
