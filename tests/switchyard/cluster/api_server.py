"""As much of an API server as lists and watches custom objects, over real HTTP, and fails when told to."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Document = dict[str, Any]
NAMESPACE = "lab"


class ApiServer:
    """Keeps objects of any resource under one version counter, as etcd does."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._objects: dict[tuple[str, str], Document] = {}
        self._events: list[tuple[int, str, Document]] = []
        self._version = 1
        self._oldest = 0
        self._broken = 0
        self.rejection: int | None = None
        self.absent: set[str] = set()
        self.garbage = False
        self.lists: list[str] = []
        self.watches: list[tuple[str, int]] = []
        self.writes: list[str] = []

    def put(self, plural: str, document: Document) -> None:
        """Creates or replaces an object."""
        key = (plural, document["metadata"]["name"])
        self._record("MODIFIED" if key in self._objects else "ADDED", key, document)

    def get(self, plural: str, name: str) -> Document | None:
        return self._objects.get((plural, name))

    def delete(self, plural: str, name: str) -> None:
        self._record("DELETED", (plural, name), self._objects[plural, name])

    def bookmark(self, plural: str) -> None:
        """Tells every watch of ``plural`` how far the counter is, without a change."""
        self._record("BOOKMARK", (plural, ""), {"metadata": {}})

    def forget_history(self) -> None:
        """From now on nobody can watch from a version before this one; streams that run are told so."""
        with self._changed:
            self._version += 1
            self._oldest = self._version
            self._changed.notify_all()

    def restore(self, plural: str, document: Document) -> None:
        """Comes back from an old backup that holds ``document`` alone: versions are counted anew, and lower."""
        with self._changed:
            self._objects.clear()
            self._events.clear()
            self._version = self._oldest = 0
        self.put(plural, document)
        self.break_streams()

    def break_streams(self) -> None:
        """Cuts the connections of all watches in the middle of a line."""
        with self._changed:
            self._broken += 1
            self._changed.notify_all()

    def _record(self, kind: str, key: tuple[str, str], document: Document) -> None:
        with self._changed:
            self._version += 1
            metadata = {"namespace": NAMESPACE, **document["metadata"], "resourceVersion": str(self._version)}
            stored = {**document, "metadata": metadata}
            if kind == "DELETED":
                del self._objects[key]
            elif kind != "BOOKMARK":
                self._objects[key] = stored
            self._events.append((self._version, key[0], {"type": kind, "object": stored}))
            self._changed.notify_all()

    def listing(self, plural: str) -> Document:
        with self._changed:
            self.lists.append(plural)
            items = [document for (found, _), document in sorted(self._objects.items()) if found == plural]
            return {"kind": "List", "metadata": {"resourceVersion": str(self._version)}, "items": items}

    def stream(self, plural: str, version: int) -> Iterator[bytes]:
        """Lines of a watch; ends when the server closes, raises ``ConnectionError`` when it is to break."""
        broken = self._broken
        with self._changed:
            self.watches.append((plural, version))
            self._changed.notify_all()
        while due := self._await(plural, version, broken):
            for at, event in due:
                yield json.dumps(event).encode() + b"\n"
                version = at
            if due[-1][1]["type"] == "ERROR":
                return

    def _await(self, plural: str, version: int, broken: int) -> list[tuple[int, Document]]:
        """The events after ``version``, at least one unless none comes for long."""
        with self._changed:
            self._changed.wait_for(lambda: self._due(plural, version) or self._broken > broken, timeout=20)
            if self._broken > broken:
                raise ConnectionError
            return self._due(plural, version)

    def _due(self, plural: str, version: int) -> list[tuple[int, Document]]:
        if version < self._oldest:
            status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
            return [(self._oldest, {"type": "ERROR", "object": status})]
        if version > self._version:
            status = {"kind": "Status", "code": 504, "reason": "Timeout", "message": "Too large resource version"}
            return [(version, {"type": "ERROR", "object": status})]
        return [(at, event) for at, found, event in self._events if at > version and found == plural]

    def until_watched(self, plural: str, times: int = 1) -> None:
        """Waits until ``plural`` was watched as often as ``times``."""
        with self._changed:
            assert self._changed.wait_for(lambda: [one for one, _ in self.watches].count(plural) >= times, timeout=20)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_GET(self) -> None:
        found, parts = self.server.found, urlsplit(self.path)
        namespace, plural = parts.path.split("/")[-2:]
        assert namespace == NAMESPACE
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        status = 404 if plural in found.absent else found.rejection
        if status:
            rejection = {"kind": "Status", "code": status, "message": "as the test asked"}
            self._send(json.dumps(rejection).encode(), status)
        elif found.garbage:
            self._send(b"<html>a proxy's error page</html>")
        elif query.get("watch", "").lower() == "true":
            self._watch(found.stream(plural, int(query["resourceVersion"])))
        else:
            self._send(json.dumps(found.listing(plural)).encode())

    def do_PATCH(self) -> None:
        """Merge, or server-side apply, which creates; only what the platform sends is understood."""
        found, parts = self.server.found, urlsplit(self.path)
        plural, name = parts.path.split("/")[-2:]
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if status := found.rejection:
            self._send(b"{}", status)
            return
        before = found.get(plural, name)
        if before is None and "apply" not in self.headers["content-type"]:
            self._send(b"{}", 404)
            return
        metadata = {**(before or {}).get("metadata", {}), **body.get("metadata", {}), "name": name}
        found.put(plural, {**(before or {}), **body, "metadata": metadata})
        found.writes.append(f"{plural}/{name}")
        self._send(json.dumps(found.get(plural, name)).encode())

    def do_DELETE(self) -> None:
        plural, name = urlsplit(self.path).path.split("/")[-2:]
        self.server.found.delete(plural, name)
        self._send(b"{}")

    def _watch(self, lines: Iterator[bytes]) -> None:
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        try:
            for line in lines:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
        except ConnectionError:
            self.wfile.write(b'ff\r\n{"type": "ADD')
            self.wfile.flush()
            self.close_connection = True

    def _send(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, found: ApiServer, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.found = found

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # clients hang up when a test ends


@contextmanager
def serving(found: ApiServer, port: int = 0) -> Iterator[int]:
    """Serves ``found`` on ``port``, or on a free one."""
    http = _Server(found, port)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield http.server_address[1]
    finally:
        http.shutdown()
        found.break_streams()
        http.server_close()
        thread.join()
