"""The gateway with TLS as a process: curl, openai's client and gRPC by its certificate, and clients by theirs."""

import asyncio
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc.aio
import httpx
import openai
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from switchyard.catalog import CatalogFile
from switchyard.gateway.settings import Settings
from switchyard.settings import SettingsError
from tests.ports import free_port
from tests.switchyard.gateway.conftest import Call, ModelServer, completion, entries, running
from tests.switchyard.gateway.test_process import COMMAND
from tests.switchyard.http.certificates import Authority, Issued


@asynccontextmanager
async def gateway(
    folder: Path, authority: Authority, served: Issued, client: Issued | None = None
) -> AsyncIterator[tuple[str, ModelServer, ssl.SSLContext]]:
    """A gateway with this certificate, its model and a context that knows it; with ``client``, it asks for that."""
    port, model = free_port(), ModelServer(completion)
    known = ssl.create_default_context(cafile=str(authority.path))
    env = {"TLS_CERT_FILE": str(served.certificate), "TLS_KEY_FILE": str(served.key)}
    if client is not None:
        known.load_cert_chain(client.certificate, client.key)
        env["TLS_CLIENT_CA_FILE"] = str(authority.path)
    async with running(model) as model.url:
        CatalogFile(folder / "catalog.json").replace(entries(model.url))
        child = await asyncio.create_subprocess_exec(
            *(*COMMAND, "--http_port", str(port), "--grpc_port", "0"),
            env={**os.environ, "SWITCHYARD_CATALOG": str(folder / "catalog.json"), **env},
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(60):
                while child.returncode is None and not listens(port):
                    await asyncio.sleep(0.02)
            yield f"https://localhost:{port}", model, known
        finally:
            if child.returncode is None:
                child.kill()
            await child.communicate()


def listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


async def printed(*command: str) -> str:
    child = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(60):
        return (await child.communicate())[0].decode()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority("ours", tmp_path)


async def test_clients_who_know_the_authority_are_served(tmp_path: Path, authority: Authority) -> None:
    async with gateway(tmp_path, authority, authority.issue("gateway")) as (url, _, known):
        curl = ("curl", "-sS", "--cacert", str(authority.path), "-w", " %{http_version} %{ssl_verify_result}")
        assert (await printed(*curl, "--http1.1", url + "/health")).endswith('{"status":"ok"} 1.1 0')
        assert (await printed(*curl, "--http2", url + "/health")).endswith('{"status":"ok"} 2 0')
        assert "certificate" in await printed("curl", "-sS", url + "/health")  # which this client does not know

        async with (
            openai.DefaultAsyncHttpxClient(verify=known, trust_env=False) as http,
            openai.AsyncOpenAI(base_url=url + "/v1", api_key="x", http_client=http, max_retries=0) as client,
        ):
            stream = await client.chat.completions.create(
                model="chat", messages=[{"role": "user", "content": "x"}], stream=True
            )
            assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "hello"
            page = await http.get(url + "/docs")
            assert url in page.text
            assert {"x-content-type-options", "x-frame-options", "referrer-policy"} <= set(page.headers)
            metrics = (await http.get(url + "/metrics")).text.splitlines()
            assert "gateway_tls_outdated 0.0" in metrics
            (expires,) = [line for line in metrics if line.startswith("gateway_tls_expiration_timestamp_seconds ")]
            assert 0 < float(expires.split()[1]) - time.time() < 86_400

        credentials = grpc.ssl_channel_credentials(authority.path.read_bytes())
        async with grpc.aio.secure_channel(url.removeprefix("https://"), credentials) as channel:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            assert (await stub.ServerLive(service_pb2.ServerLiveRequest(), timeout=30)).live


async def test_with_an_authority_of_clients_only_theirs_get_in(tmp_path: Path, authority: Authority) -> None:
    served, client = authority.issue("gateway"), authority.issue("client")
    async with gateway(tmp_path, authority, served, client) as (url, _, known):
        async with httpx.AsyncClient(verify=known, trust_env=False) as http:
            assert (await http.get(url + "/v1/models")).status_code == 200
        stranger = ssl.create_default_context(cafile=str(authority.path))
        async with httpx.AsyncClient(verify=stranger, trust_env=False) as http:
            with pytest.raises(httpx.TransportError):
                await http.get(url + "/v1/models")

        root, target = authority.path.read_bytes(), url.removeprefix("https://")
        mine = grpc.ssl_channel_credentials(root, client.key.read_bytes(), client.certificate.read_bytes())
        for credentials, served_to in ((mine, True), (grpc.ssl_channel_credentials(root), False)):
            async with grpc.aio.secure_channel(target, credentials) as channel:
                call = service_pb2_grpc.GRPCInferenceServiceStub(channel).ServerLive(service_pb2.ServerLiveRequest())
                if served_to:
                    assert (await call).live
                    continue
                with pytest.raises(grpc.aio.AioRpcError) as raised:
                    await call
                assert raised.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_certificate_is_rotated_during_a_stream_that_goes_on(tmp_path: Path, authority: Authority) -> None:
    served, release = authority.issue("gateway"), asyncio.Event()

    async def slow(call: Call) -> None:
        await call.start(content_type=b"text/event-stream")
        await call.chunk(b"data: 1\n\n")
        await release.wait()
        await call.end(b"data: [DONE]\n\n")

    async with gateway(tmp_path, authority, served) as (url, model, known):
        model.script = slow
        async with httpx.AsyncClient(verify=known, trust_env=False, timeout=60) as http:
            sent = {"model": "chat", "messages": [], "stream": True}
            async with http.stream("POST", url + "/v1/chat/completions", json=sent) as response:
                chunks = response.aiter_bytes()
                assert b"data: 1" in await anext(chunks)
                other = Authority("next", tmp_path)
                other.issue("gateway").copy_to(served)
                port, renewed = int(url.rpartition(":")[2]), ssl.create_default_context(cafile=str(other.path))
                await until_trusted(port, renewed)
                release.set()
                assert b"".join([chunk async for chunk in chunks]).endswith(b"data: [DONE]\n\n")


async def until_trusted(port: int, context: ssl.SSLContext) -> None:
    """Returns when the gateway has a certificate that ``context`` knows."""
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
            except ssl.SSLError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            return


async def test_files_that_cannot_be_used_end_the_gateway_with_a_sentence(tmp_path: Path, authority: Authority) -> None:
    served = authority.issue("gateway")
    CatalogFile(tmp_path / "catalog.json").replace(entries("http://127.0.0.1:1"))
    child = await asyncio.create_subprocess_exec(
        *(*COMMAND, "--http_port", str(free_port())),
        env={
            **os.environ,
            "SWITCHYARD_CATALOG": str(tmp_path / "catalog.json"),
            "TLS_CERT_FILE": str(served.certificate),
            "TLS_KEY_FILE": str(authority.issue("other").key),
        },
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        _, stderr = await child.communicate()
    assert child.returncode == 2
    assert b"are no certificate and its plain key: KEY_VALUES_MISMATCH" in stderr


def test_a_certificate_without_its_key_is_no_setting() -> None:
    for given in ({"TLS_CERT_FILE": "a"}, {"TLS_KEY_FILE": "a"}, {"TLS_CLIENT_CA_FILE": "a"}):
        with pytest.raises(SettingsError, match="both TLS_CERT_FILE and TLS_KEY_FILE"):
            Settings.from_env(given)
    assert Settings.from_env({}).tls is None
