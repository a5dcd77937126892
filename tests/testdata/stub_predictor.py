"""A predictor that takes milliseconds to start: readiness, echo, a slow stream, and every way to fail on command.

Environment: STUB_LOAD_SECONDS delays readiness, STUB_EXIT makes it exit with that code instead of serving,
STUB_STOP_SECONDS delays its end after SIGTERM. While the folder of MODEL_FILE has a file ``fault``, it fails at its
start as the file says: ``{"say": …, "exit": code}``, ``{"signal": number}`` or ``{"hang": true}``.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

Reply = Callable[[asyncio.StreamWriter, bytes], Awaitable[None]]

PEAK = {"now": 0, "most": 0, "requests": 0}


async def respond(writer: asyncio.StreamWriter, status: int, body: bytes) -> None:
    writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body))
    await writer.drain()


def is_there(path: str) -> bool:
    return Path(path).exists()


async def echo(writer: asyncio.StreamWriter, body: bytes) -> None:
    """Responds with the body, its process id and what tests look at.

    That is after ``{"wait": seconds}``, or once the file of ``{"until": path}`` exists.
    """
    PEAK["requests"] += 1
    PEAK["now"] += 1
    PEAK["most"] = max(PEAK["most"], PEAK["now"])
    request = json.loads(body or b"{}")
    try:
        await asyncio.sleep(request.get("wait", 0))
        while not is_there(request.get("until", "/")):
            await asyncio.sleep(0.01)
    finally:
        PEAK["now"] -= 1
    seen = {name: os.environ.get(name) for name in ("FROM_MAP", "MODEL_FILE", "HOST", "INFERENCE_SERVICE_NAME")}
    await respond(
        writer, 200, json.dumps({"pid": os.getpid(), "body": request, "env": seen, "argv": sys.argv}).encode()
    )


async def stream(writer: asyncio.StreamWriter, body: bytes) -> None:
    request = json.loads(body)
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    for number in range(request["events"]):
        event = b"data: %d\n\n" % number
        writer.write(b"%x\r\n%b\r\n" % (len(event), event))
        await writer.drain()
        await asyncio.sleep(request["wait"])
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def crash(writer: asyncio.StreamWriter, body: bytes) -> None:
    print(json.dumps({"message": "told to crash"}), file=sys.stderr, flush=True)
    os._exit(7)


async def ready(writer: asyncio.StreamWriter, body: bytes) -> None:
    await respond(writer, 200, b"{}")


async def peak(writer: asyncio.StreamWriter, body: bytes) -> None:
    await respond(writer, 200, json.dumps(PEAK).encode())


async def metrics(writer: asyncio.StreamWriter, body: bytes) -> None:
    await respond(writer, 200, b"stub_requests_total %d\n" % PEAK["requests"])


ROUTES: dict[str, Reply] = {
    "/echo": echo,
    "/openai/v1/chat/completions": echo,
    "/stream": stream,
    "/crash": crash,
    "/metrics": metrics,
    "/peak": peak,
    "/readyz": ready,
}


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            path = head.split(b" ", 2)[1].decode()
            headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
            body = await reader.readexactly(int(headers.get(b"content-length", 0)))
            await (ready if path.endswith("/ready") else ROUTES[path])(writer, body)
    except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
        pass
    finally:
        writer.close()


def phase(name: str, seconds: float) -> None:
    print(json.dumps({"message": f"{name} done", "phase": name, "seconds": seconds}), file=sys.stderr, flush=True)


async def fail(folder: Path) -> None:
    """Fails if the folder has a fault."""
    try:
        fault = json.loads((folder / "fault").read_text())
    except FileNotFoundError:
        return
    if "signal" in fault:
        os.kill(os.getpid(), fault["signal"])
    if "hang" in fault:
        await asyncio.Event().wait()
    print(fault["say"], file=sys.stderr, flush=True)
    sys.exit(fault["exit"])


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--http_port", "--http-port", type=int, required=True)
    options, _ = parser.parse_known_args()
    if code := os.environ.get("STUB_EXIT"):
        print("no engine: out of memory", file=sys.stderr, flush=True)
        sys.exit(int(code))
    await fail(Path(os.environ.get("MODEL_FILE", "/nowhere/model")).parent)
    phase("import", 0.01)
    await asyncio.sleep(float(os.environ.get("STUB_LOAD_SECONDS", "0")))
    phase("load", float(os.environ.get("STUB_LOAD_SECONDS", "0")))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = await asyncio.start_server(serve, os.environ["HOST"], options.http_port, backlog=1024)
    phase("ready", 0.0)
    await stop.wait()
    server.close()
    await asyncio.sleep(float(os.environ.get("STUB_STOP_SECONDS", "0")))


asyncio.run(main())
