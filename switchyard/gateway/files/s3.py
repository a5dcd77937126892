"""Files as objects below a prefix of an S3 bucket; credentials, region and endpoint are AWS's own variables."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from switchyard.gateway.files.contract import CHUNK_BYTES, NAME, FileStoreError, NoFileError
from switchyard.gateway.files.disk import failing_as_store

_CONNECT_SECONDS, _READ_SECONDS = 5, 30
_CONNECTIONS = 64  # as many as files arrive at a time; each is used in a thread
PART_BYTES = 5 * 1024 * 1024  # the least that S3 takes, as one part of each upload is in memory
_REMOVED = 1000  # by one request: S3's most
T = TypeVar("T")


class S3Upload:
    """An object in parts, of which one is in memory; it appears when all are there."""

    def __init__(self, client: Any, bucket: str, key: str) -> None:
        self._client = client
        self._where = {"Bucket": bucket, "Key": key}
        self._upload: dict[str, str] = {}
        self._parts: list[dict[str, Any]] = []
        self._waiting = bytearray()

    async def write(self, data: bytes) -> None:
        self._waiting += data
        while len(self._waiting) >= PART_BYTES:
            part = bytes(self._waiting[:PART_BYTES])
            del self._waiting[:PART_BYTES]
            await self._send(part)

    async def commit(self) -> None:
        rest, self._waiting = bytes(self._waiting), bytearray()
        if not self._upload:
            await _call(partial(self._client.put_object, **self._where, Body=rest))
            return
        if rest:
            await self._send(rest)
        parts = {"Parts": self._parts}
        complete = self._client.complete_multipart_upload
        await _call(partial(complete, **self._where, **self._upload, MultipartUpload=parts))
        self._upload = {}

    def discard(self) -> None:
        self._waiting.clear()
        if self._upload:
            # Nobody waits for it, as the client may be gone; what a store that is away keeps, its lifecycle rule ends.
            abort = partial(self._client.abort_multipart_upload, **self._where, **self._upload)
            asyncio.get_running_loop().run_in_executor(None, _ignoring_errors, abort)
            self._upload = {}

    async def _send(self, data: bytes) -> None:
        if not self._upload:
            begun = await _call(partial(self._client.create_multipart_upload, **self._where))
            self._upload = {"UploadId": begun["UploadId"]}
        number = len(self._parts) + 1
        sent = partial(self._client.upload_part, **self._where, **self._upload, PartNumber=number, Body=data)
        self._parts.append({"PartNumber": number, "ETag": (await _call(sent))["ETag"]})


class S3FileStore:
    """Objects ``<prefix><name>`` of a bucket; those read here are in this machine's folder for temporary files."""

    def __init__(self, bucket: str, prefix: str) -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._client = _client()

    async def create(self, name: str) -> S3Upload:
        return S3Upload(self._client, self._bucket, self._key(name))

    async def put(self, name: str, data: bytes) -> None:
        key = self._key(name)
        await _call(lambda: self._client.put_object(Bucket=self._bucket, Key=key, Body=data))

    async def chunks(self, name: str) -> AsyncIterator[bytes]:
        key = self._key(name)
        body = await _call(lambda: self._client.get_object(Bucket=self._bucket, Key=key)["Body"])
        try:
            while data := await _call(lambda: body.read(CHUNK_BYTES)):
                yield data
        finally:
            body.close()

    @asynccontextmanager
    async def local(self, name: str) -> AsyncIterator[Path]:
        key = self._key(name)
        with failing_as_store():
            handle, path = tempfile.mkstemp(prefix="switchyard-")
        os.close(handle)
        try:
            await _call(lambda: self._client.download_file(self._bucket, key, path))
            yield Path(path)
        finally:
            os.unlink(path)

    async def names(self, folder: str) -> list[str]:
        prefix = self._key(folder) + "/"

        def listed() -> list[str]:
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
            keys = [found["Key"] for page in pages for found in page.get("Contents", ())]
            return sorted(key.removeprefix(self._prefix) for key in keys if "/" not in key.removeprefix(prefix))

        return await _call(listed)

    async def remove(self, names: Sequence[str]) -> None:
        keys = [self._key(name) for name in names]
        for first in range(0, len(keys), _REMOVED):
            objects = [{"Key": key} for key in keys[first : first + _REMOVED]]
            deleted = {"Objects": objects, "Quiet": True}
            found = await _call(partial(self._client.delete_objects, Bucket=self._bucket, Delete=deleted))
            if errors := found.get("Errors"):
                raise FileStoreError(f"the files cannot be deleted: {errors[0].get('Code', 'no code')}")

    def _key(self, name: str) -> str:
        if not NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a file")
        return self._prefix + name


def _client() -> Any:
    # Late: it takes half a second to import, which a gateway without S3 need not wait for.
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    settings: dict[str, Any] = {
        "connect_timeout": _CONNECT_SECONDS,
        "read_timeout": _READ_SECONDS,
        "max_pool_connections": _CONNECTIONS,
        "retries": {"mode": "standard", "total_max_attempts": 3},
        "request_checksum_calculation": "when_required",  # other stores know none of the newer ones
    }
    if os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"):
        settings["s3"] = {"addressing_style": "path"}  # other stores rarely have a host name for each bucket
    try:
        return boto3.session.Session().client("s3", config=Config(**settings))
    except (BotoCoreError, ValueError) as err:
        raise ValueError(f"S3 cannot be used: {type(err).__name__}; set AWS_REGION or AWS_ENDPOINT_URL") from err


def _ignoring_errors(run: Callable[[], object]) -> None:
    with suppress(FileStoreError), _failing():
        run()


async def _call(run: Callable[[], T]) -> T:
    with _failing():
        return await asyncio.to_thread(run)


@contextmanager
def _failing() -> Iterator[None]:
    """Turn boto3's errors into ours; their texts hold URLs, which may hold credentials, so only codes are repeated."""
    from botocore.exceptions import BotoCoreError, ClientError
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ClientError as err:
        code = str(err.response.get("Error", {}).get("Code", "")) or "no code"
        if code in ("NoSuchKey", "404"):
            raise NoFileError("there is no such file") from None
        raise FileStoreError(f"the store of files responded with {code[:80]!r}") from None
    except (BotoCoreError, HTTPError, OSError) as err:
        raise FileStoreError(f"the store of files cannot be reached: {type(err).__name__}") from None
