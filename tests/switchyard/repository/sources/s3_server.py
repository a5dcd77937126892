"""A real S3 server, and a wire to it that cuts and corrupts."""

import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from benchmarks import go
from tests.ports import free_port

ACCESS, SECRET = "test-access", "test-secret-of-nobody"


@dataclass(frozen=True, slots=True)
class S3Server:
    """versitygw over a folder; its objects are files below ``root``."""

    url: str
    root: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": ACCESS,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.url,
        }

    def client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=ACCESS,
            aws_secret_access_key=SECRET,
        )


@contextmanager
def s3_server(folder: Path, host: str = "127.0.0.1") -> Iterator[S3Server]:
    """Run the server with its data below ``folder``."""
    port = free_port()
    root, sidecar = folder / "buckets", folder / "metadata"
    root.mkdir()
    sidecar.mkdir()
    keys = ("--access", ACCESS, "--secret", SECRET)
    listening = ("--quiet", "--port", f"{host}:{port}", "posix", "--sidecar", str(sidecar), str(root))
    process = subprocess.Popen(
        (str(go.s3_server()), *keys, *listening), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(host, port)
        yield S3Server(f"http://{host}:{port}", root)
    finally:
        process.kill()
        process.wait()


def _wait_for(host: str, port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex((host, port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError(f"nobody listens on port {port}")


class Wire:
    """Forwards TCP to ``port``; the letters ``flip`` come in the other case the first time.

    The next ``cuts`` connections end after ``cut`` bytes of what the server sends.
    """

    def __init__(self, port: int, *, cut: int = 0, cuts: int = 0, flip: bytes = b"") -> None:
        self.cut, self.cuts, self.flip = cut, cuts, flip
        self.bytes = 0
        self.stall_after = 0  # bytes, after which nothing more is sent until ``release``
        self.stalled = threading.Event()
        self._released = threading.Event()
        wire = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with socket.create_connection(("127.0.0.1", port)) as upstream:
                    up = threading.Thread(target=wire._up, args=(self.request, upstream), daemon=True)
                    up.start()
                    wire._down(upstream, self.request)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])

    def __enter__(self) -> "Wire":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def release(self) -> None:
        """End the connections that stalled."""
        self._released.set()
        self._released, self.stalled = threading.Event(), threading.Event()

    def _up(self, client: socket.socket, upstream: socket.socket) -> None:
        try:
            while data := client.recv(65536):
                upstream.sendall(data)
        except OSError:
            pass

    def _down(self, upstream: socket.socket, client: socket.socket) -> None:
        sent = 0
        try:
            while data := upstream.recv(65536):
                if self.flip and self.flip in data:
                    data = data.replace(self.flip, self.flip.swapcase(), 1)
                    self.flip = b""
                if self.cut and self.cuts and sent + len(data) > self.cut:
                    client.sendall(data[: self.cut - sent])
                    self.cuts -= 1
                    return
                client.sendall(data)
                sent += len(data)
                self.bytes += len(data)
                if self.stall_after and self.bytes >= self.stall_after:
                    self.stalled.set()
                    self._released.wait(300)
                    return
        except OSError:
            pass
