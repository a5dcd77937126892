"""Where nothing leads to a store, a sentence says which address that is, what is wrong there, and what to set."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from switchyard.repository.sources import SourceError, open_source
from switchyard.repository.sources.stores import gcs, hub, oci, s3
from tests.ports import free_port
from tests.switchyard.http.certificates import Authority

# Google's client says so where gRPC is installed without an extra that it would use there; not over HTTP.
pytestmark = pytest.mark.filterwarnings("ignore:Please install grpcio-status:ImportWarning")

STORES: dict[str, tuple[str, str]] = {  # the variable that has the address, and what is asked for
    "s3": ("AWS_ENDPOINT_URL", "s3://models/tiny"),
    "gs": ("STORAGE_EMULATOR_HOST", "gs://models/tiny"),
    "hf": ("HF_ENDPOINT", "hf://lab/tiny"),
    "oci": ("", "oci://{}/models/tiny:v1"),
}
NETWORK = "is there a network, or a proxy (HTTPS_PROXY)?"
Said = Callable[[str, str], str]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Said:
    """Return what is said of a store at an address with ``scheme://host:port``."""
    for name in ("AWS_PROFILE", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "OCI_PLAIN_HTTP"):
        monkeypatch.delenv(name, raising=False)
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "eu", "AWS_MAX_ATTEMPTS": "1"}
    for name, value in (*keys.items(), ("AWS_CONFIG_FILE", str(tmp_path / "none")), ("NO_PROXY", "*")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "lab")
    # The registry's client takes HTTP for this machine, whatever else it is told.
    monkeypatch.setattr(oci, "_LOOPBACK", ())

    def said(store: str, address: str) -> str:
        variable, uri = STORES[store]
        if variable:
            monkeypatch.setenv(variable, address)
        elif address.startswith("http://"):
            monkeypatch.setenv("OCI_PLAIN_HTTP", address.partition("://")[2])
        with pytest.raises(SourceError) as raised:
            open_source(uri.format(address.partition("://")[2])).resolve()
        assert raised.value.transient
        assert raised.value.__suppress_context__
        begin, mark, reason = str(raised.value).partition(" cannot be read: no connection to ")
        assert (begin.partition("://")[0], bool(mark)) == (store, True), raised.value
        return reason

    return said


@contextmanager
def listening(respond: Callable[[socket.socket], Any] | None = None) -> Iterator[int]:
    """Listen on a port; each connection is given to ``respond``, or to nobody."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        if respond:
            threading.Thread(target=_serve, args=(server, respond), daemon=True).start()
        yield server.getsockname()[1]


def _serve(server: socket.socket, respond: Callable[[socket.socket], Any]) -> None:
    while True:
        try:
            connection, _ = server.accept()
            with connection:
                respond(connection)
        except OSError:  # the client's end, or the server's
            if server.fileno() < 0:
                return


ADDRESSES = {
    "s3": "Is AWS_ENDPOINT_URL or AWS_REGION right",
    "gs": "Is STORAGE_EMULATOR_HOST, if it is set, right",
    "hf": "Is HF_ENDPOINT, if it is set, right",
    "oci": "Is the registry's address right",
}


@pytest.mark.parametrize("store", STORES)
def test_a_host_that_nobody_knows(store: str, said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    told = said(store, "https://store.invalid")
    assert told == f"store.invalid:443: no such host is known. {ADDRESSES[store]}, and {NETWORK}"


@pytest.mark.parametrize("store", STORES)
def test_a_port_at_which_nothing_listens(store: str, said: Said) -> None:
    place = f"127.0.0.1:{free_port()}"
    address = ADDRESSES[store].replace("Is", "is")
    assert said(store, f"http://{place}") == f"{place}: it is refused. Does the store run, {address}, and {NETWORK}"


CERTIFICATES = {"s3": "AWS_CA_BUNDLE", "gs": "REQUESTS_CA_BUNDLE", "hf": "SSL_CERT_FILE", "oci": "REQUESTS_CA_BUNDLE"}


@pytest.mark.parametrize("store", STORES)
def test_a_certificate_of_an_authority_that_is_not_trusted(store: str, said: Said, tmp_path: Path) -> None:
    issued = Authority("somebody", tmp_path).issue("store")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(issued.certificate, issued.key)
    with listening(lambda connection: context.wrap_socket(connection, server_side=True)) as port:
        told = said(store, f"https://localhost:{port}")
    assert told == (
        f"localhost:{port}: its certificate is not trusted; set {CERTIFICATES[store]} to a file with that of its "
        "authority"
    )


PLAIN = {
    "s3": "write http:// in AWS_ENDPOINT_URL",
    "gs": "write http:// in STORAGE_EMULATOR_HOST",
    "hf": "write http:// in HF_ENDPOINT",
    "oci": "name it in OCI_PLAIN_HTTP",
}


@pytest.mark.parametrize("store", STORES)
def test_a_store_without_tls(store: str, said: Said) -> None:
    def respond(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")

    with listening(respond) as port:
        told = said(store, f"https://localhost:{port}")
    assert told == f"localhost:{port}: it does not speak TLS; if that is right there, {PLAIN[store]}"


@pytest.mark.parametrize("store", STORES)
def test_a_store_that_says_nothing(store: str, said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, seconds in ((gcs, (0.5, 0.5)), (oci, (0.5, 0.5)), (hub, 0.5)):
        monkeypatch.setattr(module, "_SECONDS", seconds)
    monkeypatch.setattr(s3, "_SECONDS", {"connect_timeout": 0.5, "read_timeout": 0.5})
    with listening() as port:
        told = said(store, f"http://127.0.0.1:{port}")
    assert told == f"127.0.0.1:{port}: it does not respond in time. {ADDRESSES[store]}, and {NETWORK}"
