"""One table of inputs against every process that listens."""

import asyncio

import pytest

from switchyard.http.h2 import frames
from switchyard.http.h2.fields import Field
from tests.one_server.processes import Process
from tests.one_server.table import AT, BODY, LINE, ROWS, SIZED, Row
from tests.switchyard.http.h2.raw import GREETING, converse, heard, request_bytes
from tests.switchyard.http.serving import Wire

LAST = b"GET {page} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def filled(sent: bytes, process: Process) -> bytes:
    size = len(process.body)
    values = {
        b"{page}": process.page,
        b"{path}": process.path,
        b"{body}": process.body,
        b"{length}": b"%d" % size,
        b"{chunk}": b"%x\r\n%b\r\n" % (size, process.body),
        b"{extended}": b"%x;a=b;c\r\n%b\r\n" % (size, process.body),
    }
    for name, value in values.items():
        sent = sent.replace(name, value)
    return sent


async def wire_to(process: Process) -> Wire:
    return Wire(*await asyncio.open_connection("127.0.0.1", process.port))


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
async def test_every_process_reads_a_request_as_all_others_do(process: Process, row: Row) -> None:
    wire = await wire_to(process)
    wire.send(filled(row.sent, process))
    for status in row.statuses:
        allowed = {process.status if status == BODY else status}
        if row.in_body and not process.reads:
            allowed.add(process.status)
        assert (await wire.answer())[0] in allowed
    if row.kept:
        wire.send(filled(LAST, process))
        assert (await wire.answer())[0] == 200
    assert await wire.rest() == b""
    await wire.close()


async def test_head_is_get_without_the_body(process: Process) -> None:
    wire = await wire_to(process)
    line = filled(b"HEAD {page} HTTP/1.1\r\nHost: localhost\r\n\r\n", process)
    agreed = False
    for _ in range(5):  # a page with times in it may change its length in between
        wire.send(line + line.replace(b"HEAD", b"GET"))
        head = await wire.head()
        assert b" 200 " in head
        status, body = await wire.answer()
        assert status == 200
        agreed = agreed or b"content-length: %d\r\n" % len(body) in head or b"content-length" not in head
    assert agreed
    await wire.close()


async def test_a_slash_at_the_end_makes_another_path_and_nobody_redirects(process: Process) -> None:
    wire = await wire_to(process)
    wire.send(b"GET /v2/models/" + AT)
    status, _ = await wire.answer()
    assert status == 404 if process.own_paths else not 300 <= status < 400
    await wire.close()


async def test_http_1_0_gets_no_chunks(process: Process) -> None:
    wire = await wire_to(process)
    wire.send(filled(SIZED.replace(b"/1.1", b"/1.0") + b"{body}", process))
    head = await wire.head()
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    await wire.rest()
    await wire.close()


async def test_a_client_that_waits_to_be_told_to_send_its_body_is_told(process: Process) -> None:
    wire = await wire_to(process)
    wire.send(filled(LINE + b"Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n", process))
    head = await wire.head()
    if b" 100 " in head:
        wire.send(process.body)
        head = await wire.head()
    else:  # nobody reads the body: then the connection is no longer good for another request
        assert b"connection: close" in head
    assert int(head[9:12]) == process.status
    await wire.close()


async def test_a_client_that_closes_for_writing_after_a_get_gets_a_response(process: Process) -> None:
    wire = await wire_to(process)
    wire.send(filled(b"GET {page} HTTP/1.1\r\nHost: localhost\r\n\r\n", process))
    wire.writer.write_eof()
    assert (await wire.answer())[0] == 200
    assert await wire.rest() == b""
    await wire.close()


METHOD, SCHEME, AUTHORITY = (b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"localhost")
SERVER_LIVE = b"/inference.GRPCInferenceService/ServerLive"
GRPC = [(b"content-type", b"application/grpc"), (b"te", b"trailers")]
MALFORMED: dict[str, list[Field]] = {
    "a path twice": [METHOD, SCHEME, AUTHORITY, (b":path", b"/"), (b":path", b"{path}")],
    "no scheme": [METHOD, AUTHORITY, (b":path", b"{path}")],
    "a path that is none": [METHOD, SCHEME, AUTHORITY, (b":path", b"x")],
    "a host with a path": [METHOD, SCHEME, (b":authority", b"a/b"), (b":path", b"{path}")],
    "a name in upper case": [(b"Upper", b"1")],
    "a value of two lines": [(b"a", b"b\r\nc: d")],
    "a control character": [(b"a", b"\x01")],
    "a connection header": [(b"connection", b"close")],
    "a transfer coding": [(b"transfer-encoding", b"chunked")],
    "two lengths": [(b"content-length", b"0"), (b"content-length", b"1")],
    "a late pseudo-header": [(b"a", b"b"), (b":path", b"/")],
}


@pytest.mark.parametrize("path", [None, SERVER_LIVE], ids=["a request", "a call"])
@pytest.mark.parametrize("fields", MALFORMED.values(), ids=MALFORMED)
async def test_malformed_header_fields_of_http_2_are_reset(
    process: Process, fields: list[Field], path: bytes | None
) -> None:
    path = path or process.page
    if fields[0][0][:1] != b":":
        fields = [METHOD, SCHEME, AUTHORITY, (b":path", path), *fields]
    else:
        fields = [(name, value.replace(b"{path}", path)) for name, value in fields]
    sent = GREETING + request_bytes([*fields, *(GRPC if path == SERVER_LIVE else [])])
    answer = await converse(process.port, sent, until=frames.RST_STREAM)
    assert (frames.RST_STREAM, 1, frames.uint32(frames.PROTOCOL_ERROR)) in heard(answer)
    assert frames.HEADERS not in [kind for kind, _, _ in heard(answer)]


async def test_http_2_is_spoken_on_the_same_port(process: Process) -> None:
    sent = GREETING + request_bytes([METHOD, SCHEME, AUTHORITY, (b":path", process.page)])
    answer = await converse(process.port, sent, until=frames.HEADERS)
    (block,) = [payload for kind, _, payload in heard(answer) if kind == frames.HEADERS]
    assert b":status\x03200" in block


async def test_a_call_of_a_service_that_is_not_there_is_unimplemented(process: Process) -> None:
    fields = [(b":method", b"POST"), SCHEME, AUTHORITY, (b":path", b"/no.Service/Method"), *GRPC]
    answer = await converse(process.port, GREETING + request_bytes(fields, bytes(5)), until=frames.HEADERS)
    blocks = [payload for kind, _, payload in heard(answer) if kind == frames.HEADERS]
    assert b"grpc-status\x0212" in blocks[-1]
