"""Files by OpenAI's own client: sent, listed, read and deleted, each tenant's its own."""

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from switchyard.gateway.files.disk import DiskFileStore
from switchyard.gateway.files.storage import Storage
from switchyard.gateway.files.stored_files import FileLimits, StoredFiles
from switchyard.store.factory import open_records
from tests.switchyard.gateway.conftest import Bench, gateway, until
from tests.switchyard.gateway.openapi.documents import DOCUMENT, problems
from tests.switchyard.gateway.tenants.access import KEYS, tenants

LIMITS = FileLimits(file_bytes=4 * 1024 * 1024, tenant_bytes=6 * 1024 * 1024)


def client(bench: Bench, name: str = "acme") -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=bench.url + "/v1", api_key=KEYS[name], max_retries=0)


@asynccontextmanager
async def with_files(folder: Path, **options: Any) -> AsyncIterator[Bench]:
    """A gateway that keeps files."""
    records = open_records(f"sqlite://{folder}/store.db")
    stored = StoredFiles(records, DiskFileStore(folder / "files"), LIMITS)
    try:
        async with gateway(folder, storage=Storage(records=records, files=stored), **options) as bench:
            yield bench
    finally:
        await records.aclose()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with with_files(tmp_path, tenants=await tenants(tmp_path)) as one:
        yield one


def left_in(folder: Path) -> list[Path]:
    return [path for path in (folder / "files").rglob("*") if path.is_file()]


async def test_openais_client_sends_lists_reads_and_deletes_a_file(bench: Bench, tmp_path: Path) -> None:
    content = b'{"custom_id": "a"}\n' * 50_000  # more than a buffer
    async with client(bench) as http:
        made = await http.files.create(file=("lines.jsonl", io.BytesIO(content)), purpose="batch")
        assert (made.bytes, made.filename, made.purpose) == (len(content), "lines.jsonl", "batch")
        assert made.expires_at == made.created_at + 30 * 86400
        second = await http.files.create(
            file=("b.jsonl", b"{}"), purpose="batch", expires_after={"anchor": "created_at", "seconds": 3600}
        )
        assert second.expires_at == second.created_at + 3600

        assert await http.files.retrieve(made.id) == made
        assert {file.id async for file in http.files.list(limit=1)} == {made.id, second.id}
        assert [file.id async for file in http.files.list(purpose="batch_output")] == []
        assert (await http.files.content(made.id)).content == content

        assert (await http.files.delete(made.id)).deleted
        with pytest.raises(openai.NotFoundError):
            await http.files.content(made.id)
        assert [path.name for path in left_in(tmp_path)] == [second.id]


async def test_nobody_finds_a_file_of_another_tenant(bench: Bench) -> None:
    async with client(bench) as ours, client(bench, "globex") as theirs:
        made = await ours.files.create(file=("a.jsonl", b"{}"), purpose="batch")
        assert [file.id async for file in theirs.files.list()] == []
        for attempt in (theirs.files.retrieve, theirs.files.content, theirs.files.delete):
            with pytest.raises(openai.NotFoundError):
                await attempt(made.id)
        assert await ours.files.retrieve(made.id) == made


async def test_a_file_and_all_of_a_tenant_are_bounded_and_what_is_too_long_leaves_nothing(
    bench: Bench, tmp_path: Path
) -> None:
    async with client(bench) as http:
        kept = await http.files.create(file=("a", b"a" * 3 * 1024 * 1024), purpose="batch")
        for size in (5 * 1024 * 1024, 3 * 1024 * 1024 + 1):
            with pytest.raises(openai.APIStatusError) as caught:
                await http.files.create(file=("b", b"b" * size), purpose="batch")
            assert caught.value.status_code == 413
            assert [path.name for path in left_in(tmp_path)] == [kept.id]
        await http.files.create(file=("c", b"c" * 3 * 1024 * 1024), purpose="batch")
        with pytest.raises(openai.APIStatusError, match="as many as may be"):
            await http.files.create(file=("d", b"d"), purpose="batch")


@pytest.mark.parametrize(
    ("fields", "files", "sentence"),
    [
        ({"purpose": "vision"}, {"file": b"{}"}, "purpose is 'vision'"),
        ({"purpose": "batch"}, {"other": ""}, "the form has no file"),
        ({"purpose": "batch", "expires_after[seconds]": "1"}, {"file": b"{}"}, "expires_after is"),
        ({"purpose": "batch" + "x" * 2000}, {"file": b"{}"}, "longer than"),
        ({f"field{number}": "" for number in range(9)}, {"file": b"{}"}, "more than 8 fields"),
    ],
)
async def test_a_form_that_is_wrong_says_why(
    bench: Bench, tmp_path: Path, fields: dict[str, str], files: dict[str, Any], sentence: str
) -> None:
    response = await bench.http.post("/v1/files", data=fields, files=files, headers=authorization())
    assert (response.status_code, sentence in response.json()["error"]["message"]) == (400, True), response.text
    assert left_in(tmp_path) == []


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{}", "application/json", 415),
        (b"nothing", "multipart/form-data", 415),
        (b"nothing", "multipart/form-data; boundary=b", 400),
        (b"--b\r\nContent-Disposition: form-data; name=file\r\n\r\nx", "multipart/form-data; boundary=b", 400),
        (b"", "multipart/form-data; boundary=" + "b" * 300, 400),
    ],
)
async def test_what_is_no_form_is_rejected(bench: Bench, body: bytes, content_type: str, status: int) -> None:
    headers = {"content-type": content_type, **authorization()}
    response = await bench.http.post("/v1/files", content=body, headers=headers)
    assert response.status_code == status, response.text


async def test_a_client_that_disconnects_leaves_nothing(bench: Bench, tmp_path: Path) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"--b\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\n"
        for _ in range(20):
            yield b"x" * 65536
        await until(lambda: bool(left_in(tmp_path)))
        raise ConnectionError("the client's network is gone")

    headers = {"content-type": "multipart/form-data; boundary=b", **authorization()}
    with pytest.raises(ConnectionError):
        await bench.http.post("/v1/files", content=endless(), headers=headers)
    async with httpx.AsyncClient(base_url=bench.url, headers=authorization()) as http:
        assert (await http.get("/v1/files")).json()["data"] == []
    await until(lambda: not left_in(tmp_path))


async def test_responses_are_as_the_document_says(bench: Bench) -> None:
    schemas = DOCUMENT["components"]["schemas"]
    form: dict[str, Any] = {"data": {"purpose": "batch"}, "files": {"file": ("a.jsonl", b"{}")}}
    made = (await bench.http.post("/v1/files", headers=authorization(), **form)).json()
    assert problems(schemas["StoredFile"], made) == []
    listed = (await bench.http.get("/v1/files?limit=1", headers=authorization())).json()
    assert problems(schemas["StoredFileList"], listed) == []
    assert listed["data"] == [made]


async def test_a_gateway_without_a_place_for_files_says_so(tmp_path: Path) -> None:
    async with gateway(tmp_path) as bench:
        response = await bench.http.get("/v1/files")
    assert response.status_code == 501
    assert "SWITCHYARD_FILES" in response.json()["error"]["message"]


async def test_a_gateway_without_keys_has_files_too(tmp_path: Path) -> None:
    async with with_files(tmp_path) as bench, client(bench) as http:
        made = await http.files.create(file=("a.jsonl", b"{}"), purpose="batch")
        assert await http.files.retrieve(made.id) == made


def authorization() -> dict[str, str]:
    return {"authorization": f"Bearer {KEYS['acme']}"}
