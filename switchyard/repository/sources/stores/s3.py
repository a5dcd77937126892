"""Objects below a prefix of an S3 bucket, by boto3; credentials, region and endpoint are AWS's own variables."""

import os
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from switchyard.repository.names import quoted
from switchyard.repository.sources.connecting import Access, unreachable
from switchyard.repository.sources.listing import bounded, paged, revision_of
from switchyard.repository.sources.remote import (
    Algorithm,
    Checksum,
    Remote,
    RemoteFile,
    SourceChangedError,
    SourceError,
)
from switchyard.repository.sources.stores.bounds import bound
from switchyard.repository.sources.stores.located import LocatedSource
from switchyard.repository.sources.stores.settings import misconfigured

_CHUNK = 1 << 16  # botocore reads a whole one before it gives it: what is lost of each file when a fetch is killed
_SECONDS = {"connect_timeout": 10, "read_timeout": 30}  # of silence; a whole object may take hours
_ACCESS = Access(
    address="AWS_ENDPOINT_URL or AWS_REGION",
    authorities="AWS_CA_BUNDLE",
    plain="write http:// in AWS_ENDPOINT_URL",
)
_DENIED = "these credentials may not read it (AWS_ACCESS_KEY_ID, or the role of this machine)"
_CODES = {
    "NoSuchBucket": "there is no such bucket",
    "AccessDenied": _DENIED,
    "403": _DENIED,
    "InvalidAccessKeyId": "the store does not know AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "AWS_SECRET_ACCESS_KEY does not belong to AWS_ACCESS_KEY_ID",
    "ExpiredToken": "AWS_SESSION_TOKEN has expired",
}
_CHECKSUMS: tuple[tuple[str, Algorithm], ...] = (
    ("ChecksumSHA256", "sha256"),
    ("ChecksumSHA1", "sha1"),
    ("ChecksumCRC32C", "crc32c"),
    ("ChecksumCRC32", "crc32"),
)
_CHANGED = ("PreconditionFailed", "412", "NoSuchKey", "404", "InvalidRange", "416")


@dataclass(frozen=True, kw_only=True, slots=True)
class S3Source(LocatedSource):
    """The objects of ``location``; one read asks for the ETag that was listed, so that two contents never mix."""

    client: Any = field(default_factory=lambda: _client())

    def resolve(self) -> Remote:
        """List the objects below the prefix, 1,000 with each request.

        Raises:
            SourceError: the bucket cannot be listed, or has no objects, or too many.
        """
        with _errors(self.uri):
            files = bounded(self.uri, self._objects(), self.limits)
        return Remote(uri=self.uri, revision=revision_of(files), files=files)

    def read(self, file: RemoteFile, start: int) -> Iterator[bytes]:
        """Yield the object from byte ``start`` on.

        Raises:
            SourceChangedError: its ETag is another one now.
            SourceError: it cannot be read.
        """
        with _errors(f"{self.uri}: {quoted(file.path)}"):
            response = self.client.get_object(
                Bucket=self.location.place, Key=file.key, Range=f"bytes={start}-", IfMatch=f'"{file.etag}"'
            )
            if response["ETag"].strip('"') != file.etag:  # a store that does not know If-Match
                raise SourceChangedError(f"{self.uri}: {quoted(file.path)} was replaced since it was listed")
            if start and not response.get("ContentRange", "").startswith(f"bytes {start}-"):
                raise SourceError(f"{self.uri}: {quoted(file.path)} cannot be read from byte {start:,} on")
            with closing(response["Body"]) as body:
                yield from body.iter_chunks(_CHUNK)

    def checksum(self, file: RemoteFile) -> Checksum | None:
        """Return what the store says of the object: a checksum of the upload, or the ETag where that is an MD5.

        Raises:
            SourceChangedError: its ETag is another one now.
            SourceError: the store does not respond.
        """
        with _errors(f"{self.uri}: {quoted(file.path)}"):
            about = {"Bucket": self.location.place, "Key": file.key, "IfMatch": f'"{file.etag}"'}
            said = self.client.head_object(**about, ChecksumMode="ENABLED")
            parts = file.etag.partition("-")[2]
            size = self.client.head_object(**about, PartNumber=1)["ContentLength"] if parts else 0
        return checksum_of(said, file.etag, size)

    def _objects(self) -> Iterator[RemoteFile | None]:
        prefix = f"{self.location.path}/" if self.location.path else ""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.location.place, Prefix=prefix)
        for page in paged(self.uri, pages, self.limits):
            for item in page.get("Contents", ()):
                path = item["Key"].removeprefix(prefix)
                if path.endswith("/") or not path:
                    yield None  # consoles make empty objects to show a folder
                    continue
                yield RemoteFile(path=path, key=item["Key"], size=item["Size"], etag=item["ETag"].strip('"'))


def checksum_of(said: Mapping[str, Any], etag: str, part_size: int) -> Checksum | None:
    """Return the strongest checksum over the whole object that a HEAD response and its ETag tell.

    An ETag is the MD5 of the content, or of the parts' MD5s, unless the object is encrypted with a key of its own.
    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
    """
    for name, algorithm in _CHECKSUMS:
        value = said.get(name, "")
        if value and "-" not in value and said.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT":
            return Checksum(algorithm=algorithm, value=b64decode(value).hex())
    if said.get("ServerSideEncryption", "AES256") != "AES256" or said.get("SSECustomerAlgorithm"):
        return None
    md5, _, parts = etag.partition("-")
    if not re.fullmatch(r"[0-9a-f]{32}", md5):
        return None
    if not parts:
        return Checksum(algorithm="md5", value=md5)
    # Parts of different sizes are allowed, and then nothing says where each ends.
    if part_size and -(-said["ContentLength"] // part_size) == int(parts):
        return Checksum(algorithm="md5-parts", value=md5, part_size=part_size)
    return None


def _client() -> Any:
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config

    session = boto3.session.Session()
    settings: dict[str, Any] = {
        **_SECONDS,
        "retries": {"mode": "standard", "total_max_attempts": 3},
        # A range of an object has no checksum: whole files are checked after they came.
        "response_checksum_validation": "when_required",
    }
    if session.get_credentials() is None:
        settings["signature_version"] = UNSIGNED  # a public bucket
    if os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"):
        settings["s3"] = {"addressing_style": "path"}  # other stores rarely have a host name for each bucket
    client = session.client("s3", config=Config(**settings))
    client._endpoint.http_session = _Bounded(client._endpoint.http_session)
    return client


class _Bounded:
    """The session of a client, which reads no more of a response than a page has, unless it is an object."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def send(self, request: Any) -> Any:
        from botocore.exceptions import HTTPClientError
        from urllib3.exceptions import HTTPError

        is_object, request.stream_output = request.stream_output, True
        response = self._session.send(request)
        if is_object and response.status_code < 300:
            return response
        bound(response.raw)
        try:
            response.content  # noqa: B018  # it is kept when it is read
        except HTTPError as err:
            raise HTTPClientError(error=err, endpoint_url=request.url) from None
        return response

    def close(self) -> None:
        self._session.close()


@contextmanager
def _errors(subject: str) -> Iterator[None]:
    """Turn boto3's errors into ours; their texts hold URLs, which may hold credentials, so only codes are repeated."""
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        ConnectionError,
        HTTPClientError,
        NoRegionError,
        ProxyConnectionError,
    )

    try:
        yield
    except ClientError as err:
        code = str(err.response.get("Error", {}).get("Code", "")) or "no code"
        if code in _CHANGED:
            raise SourceChangedError(f"{subject} was replaced or removed since it was listed") from None
        status = err.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        reason = _CODES.get(code) or f"the store responded with {quoted(code)}, status {status}"
        raise SourceError(
            f"{subject} cannot be read: {reason}", transient=status in (408, 429) or status >= 500
        ) from None
    except NoRegionError:
        raise SourceError(f"{subject} cannot be read: set AWS_REGION or AWS_ENDPOINT_URL") from None
    except ProxyConnectionError as err:
        raise unreachable(subject, str(err.kwargs.get("proxy_url", "")), err, _ACCESS) from None
    except (HTTPClientError, ConnectionError) as err:
        raise unreachable(subject, str(err.kwargs.get("endpoint_url", "")), err, _ACCESS) from None
    except (BotoCoreError, ValueError) as err:
        raise misconfigured(subject, "s3", err) from None
