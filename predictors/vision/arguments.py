"""The command line of ``python -m predictors.vision``: KServe's flags, and where Triton listens."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """``model_name`` is the service's; clients use the names of Triton's models. Addresses are ``host:port``.

    ``model_repository`` and ``triton_log`` are Triton's own, where this container has them too, else empty.
    """

    model_name: str
    http_port: int
    grpc_port: int
    triton_http: str
    triton_grpc: str
    triton_metrics: str
    model_repository: str
    triton_log: str


def parse(argv: Sequence[str]) -> Arguments:
    """Parse the command line; exit with a usage message when it is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m predictors.vision",
        description="Serves every model of a Triton repository by its own name: KServe V2 (REST, gRPC), and images.",
        allow_abbrev=False,
    )
    parser.add_argument("--model_name", required=True, help="the InferenceService's name; its models have their own")
    parser.add_argument("--http_port", type=int, default=8080)
    parser.add_argument("--grpc_port", type=int, default=0, help="a second port that takes the same; 0 for none")
    parser.add_argument("--triton_http", type=_address, default="127.0.0.1:9000", help="Triton's --http-port")
    parser.add_argument("--triton_grpc", type=_address, default="127.0.0.1:9001", help="Triton's --grpc-port")
    parser.add_argument("--triton_metrics", type=_address, default="127.0.0.1:9002", help="Triton's --metrics-port")
    parser.add_argument("--model_repository", default="", help="Triton's --model-repository, if it can be read here")
    parser.add_argument("--triton_log", default="", help="Triton's --log-file, if it can be read here")
    return Arguments(**vars(parser.parse_args(list(argv))))


def _address(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not (host and colon and port.isdecimal() and 0 < int(port) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is not host:port")
    return text
