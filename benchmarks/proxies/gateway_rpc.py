"""``python -m benchmarks.proxies.gateway_rpc``: V2 gRPC through the gateway against straight to the model's server.

The model answers with its input at once, from gRPC's own C core, so that what is measured is the way. Every client asks
again as soon as it was answered; the two ways take turns within a round.
"""

import argparse
import asyncio
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import uvloop
from tritonclient.grpc import service_pb2, service_pb2_grpc

from benchmarks.processes import Command, free_port, wait_for
from benchmarks.proxies.gateway import pinned
from benchmarks.report import Figure, publish, ratios
from switchyard.catalog import Catalog, CatalogFile, Model, State

SIZES = {"small": 64, "10 MB": 10_000_000}  # bytes of one tensor
CLIENTS = {"small": 8, "10 MB": 4}
TARGETS = {"small": ">= 0.85", "10 MB": ">= 0.75"}
LIMITS = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


class Echo(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """A model that answers with its input."""

    async def ModelInfer(self, request: Any, context: Any) -> Any:
        return service_pb2.ModelInferResponse(
            model_name=request.model_name, raw_output_contents=request.raw_input_contents
        )


async def serve(port: int) -> None:
    """Serve the model on ``port`` until killed."""
    server = grpc.aio.server(options=LIMITS)
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Echo(), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


async def saturate(target: str, size: str, seconds: float) -> float:
    """Answers a second that ``CLIENTS`` clients get from ``target``, each with a connection of its own."""
    request = service_pb2.ModelInferRequest(model_name="echo", raw_input_contents=[b"x" * SIZES[size]])
    end = time.perf_counter() + seconds

    async def client(number: int) -> int:
        answers = 0
        options = [*LIMITS, ("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(target, options=options) as channel:
            infer = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer
            while time.perf_counter() < end:
                response = await infer(request)
                if len(response.raw_output_contents[0]) != SIZES[size]:
                    raise RuntimeError(f"{target} answered with another tensor")
                answers += 1
        return answers

    began = time.perf_counter()
    counts = await asyncio.gather(*map(client, range(CLIENTS[size])))
    return sum(counts) / (time.perf_counter() - began)


def listens(port: int) -> bool:
    """Whether something accepts connections on ``port``."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def measure(folder: Path, rounds: int, seconds: float) -> tuple[dict[str, list[tuple[float, float]]], float]:
    """(straight, through) answers a second by size and round, and the gateway's memory in MB at the end."""
    model_port, port = free_port(), free_port()
    model = Model(name="echo", kind="vision", url="http://127.0.0.1:1", grpc=f"127.0.0.1:{model_port}")
    ready = State(phase="ready")
    CatalogFile(folder / "catalog.json").replace(
        Catalog({"echo": Model(name=model.name, kind=model.kind, url=model.url, grpc=model.grpc, state=ready)})
    )
    env = {"SWITCHYARD_CATALOG": str(folder / "catalog.json"), "LOG_LEVEL": "warning"}
    argv = [sys.executable, "-m", "switchyard.gateway", "--host=127.0.0.1", f"--http_port={port}", "--grpc_port=0"]
    gateway = Command(pinned(1, *argv), folder / "gateway.log", env)
    upstream = Command(
        pinned(0, sys.executable, "-m", "benchmarks.proxies.gateway_rpc", "--serve", str(model_port)),
        folder / "model.log",
    )
    taken: dict[str, list[tuple[float, float]]] = {size: [] for size in SIZES}
    try:
        gateway.wait_for(f"http://127.0.0.1:{port}/readyz")
        wait_for(lambda: listens(model_port), "the model")
        for size in SIZES:
            uvloop.run(saturate(f"127.0.0.1:{port}", size, 1.0))  # warm-up
        for _ in range(rounds):
            for size in SIZES:
                straight = uvloop.run(saturate(f"127.0.0.1:{model_port}", size, seconds))
                taken[size].append((straight, uvloop.run(saturate(f"127.0.0.1:{port}", size, seconds))))
        return taken, gateway.tree.pss_mb()
    finally:
        gateway.stop()
        upstream.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--serve", type=int, metavar="PORT", help="be the model on this port")
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options.serve))
        return
    with tempfile.TemporaryDirectory() as name:
        taken, memory = measure(Path(name), options.rounds, options.seconds)
    figures = [
        Figure(
            name=f"gRPC through the gateway, {size}, {CLIENTS[size]} clients",
            unit="x of straight",
            values=ratios([through for _, through in pairs], [straight for straight, _ in pairs]),
            target=TARGETS[size],
        )
        for size, pairs in taken.items()
    ]
    figures.append(Figure(name="memory of the gateway after it", unit="MB PSS", values=(memory,)))
    publish("proxies.gateway_rpc", figures, {"rounds": options.rounds, "seconds": options.seconds})


if __name__ == "__main__":
    main()
