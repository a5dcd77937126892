"""The V2 gRPC calls that go to a model."""

import time

import grpc
import grpc.aio

from switchyard.gateway.call import request_id
from switchyard.gateway.lookup import Locate
from switchyard.gateway.meter import UNKNOWN, Meter
from switchyard.http.api_errors import ApiError
from switchyard.rpc.forwarder import Enter, Passage, Refused, Resolve
from switchyard.rpc.metadata import Metadata, forwarded

_STATUS = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}


def refused(err: ApiError) -> Refused:
    return Refused(_STATUS.get(err.status, grpc.StatusCode.INTERNAL), err.message)


def targets(locate: Locate) -> Resolve:
    """Where the gRPC service of a model listens."""

    async def resolve(name: str) -> str:
        try:
            model = locate(name)
        except ApiError as err:
            raise refused(err) from err
        if not model.grpc:
            raise Refused(grpc.StatusCode.UNIMPLEMENTED, f"model {name} serves no gRPC; use V2 over HTTP")
        return model.grpc

    return resolve


def repositories(locate: Locate) -> Resolve:
    """Where a model is loaded and unloaded on request: only those of a repository; others wake and sleep."""
    resolve = targets(locate)

    async def only_vision(name: str) -> str:
        target = await resolve(name)
        if (kind := locate(name).kind) != "vision":
            raise Refused(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"model {name} is of kind {kind}; it wakes when asked and sleeps when idle, without load and unload",
            )
        return target

    return only_vision


def identifier(metadata: Metadata) -> str:
    given = next((value for key, value in metadata if key == "x-request-id"), None)
    return request_id(given.encode() if isinstance(given, str) else None).decode()


def passages(meter: Meter) -> Enter:
    """Gives every call its request id and counts it."""

    def enter(method: str, metadata: Metadata) -> Passage:
        own, started = ("x-request-id", identifier(metadata)), time.monotonic()
        upstream = [(key, value) for key, value in forwarded(metadata) if key != "x-request-id"]

        def done(model: str, code: grpc.StatusCode) -> None:
            # A name that was not found is free text; it must not become a label.
            known = UNKNOWN if not model or code is grpc.StatusCode.NOT_FOUND else model
            meter.done(known, "grpc " + method, code.name, time.monotonic() - started)

        return Passage(upstream=[*upstream, own], initial=(own,), done=done)

    return enter
