"""Writes the output and the error file of a batch from the log of its results."""

from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from switchyard.gateway.batches.batch import Batch
from switchyard.gateway.batches.lines.results import ResultLog
from switchyard.gateway.files.contract import Upload
from switchyard.gateway.files.stored_file import StoredFile
from switchyard.gateway.files.stored_files import KEPT_SECONDS, StoredFiles, new_file_id

_CHUNK_BYTES = 1024 * 1024


@dataclass(slots=True)
class _Output:
    """One of the two files."""

    upload: Upload
    file_id: str
    rows: int = 0
    size: int = 0
    waiting: bytearray = field(default_factory=bytearray)

    async def add(self, row: bytes) -> None:
        self.rows += 1
        self.size += len(row) + 1
        self.waiting += row + b"\n"
        if len(self.waiting) > _CHUNK_BYTES:
            await self.flush()

    async def flush(self) -> None:
        data, self.waiting = bytes(self.waiting), bytearray()
        await self.upload.write(data)


async def write_output(
    files: StoredFiles, batch: Batch, log: ResultLog, now: float
) -> tuple[str | None, str | None, tuple[int, int]]:
    """Return the ids of the files, None for one without rows, and how many rows there are, and in the error file.

    Their ids are new ones: a gateway that has lost the batch and writes them too leaves the winner's as they are.
    """
    async with AsyncExitStack() as stack:
        outputs = []
        for _ in range(2):
            file_id = new_file_id()
            upload = await files.blobs.create(f"files/{file_id}")
            stack.callback(upload.discard)
            outputs.append(_Output(upload, file_id))
        async for result in log.read():
            await outputs[result.failed].add(result.row)
        ids = [await _kept(files, batch, output, kind, int(now)) for kind, output in zip(_KINDS, outputs, strict=True)]
    return ids[0], ids[1], (outputs[0].rows + outputs[1].rows, outputs[1].rows)


_KINDS = ("output", "error")


async def _kept(files: StoredFiles, batch: Batch, output: _Output, kind: str, now: int) -> str | None:
    if not output.rows:
        return None
    await output.flush()
    await output.upload.commit()
    await files.add(
        StoredFile(
            id=output.file_id,
            tenant=batch.owner.tenant,
            name=f"{batch.id}_{kind}.jsonl",
            purpose="batch_output",
            size=output.size,
            created=now,
            ends=now + KEPT_SECONDS,
        )
    )
    return output.file_id
