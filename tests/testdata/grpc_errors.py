"""Prints what a predictor's gRPC server makes of each of KServe's errors: name, status, details, log entries, pushback.

A process of its own, because KServe's messages and tritonclient's have the same names in protobuf's one registry.
"""

import asyncio
import json
import logging
from typing import Any

import grpc
import grpc.aio
from kserve import errors

from predictors.serving.server import ErrorStatuses
from switchyard.http.api_errors import ApiError

RAISED = [
    errors.InferenceError("out of memory"),
    errors.InvalidInput("no such input"),
    errors.UnsupportedProtocol("v9"),
    errors.ServerNotReady("overloaded"),
    errors.ServerNotLive("overloaded"),
    errors.ModelNotReady("m", "overloaded"),
    errors.ModelNotFound("m"),
    NotImplementedError("not here"),
    ApiError("not_implemented", "one model"),
    KeyError("a bug"),
]


async def fail(request: bytes, context: Any) -> bytes:
    raise RAISED[int(request)]


async def main() -> None:
    logged: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: logged.append(record.levelname)  # type: ignore[method-assign]
    logging.getLogger("predictors").addHandler(handler)
    methods = {"fail": grpc.unary_unary_rpc_method_handler(fail)}
    server = grpc.aio.server(
        handlers=(grpc.method_handlers_generic_handler("s", methods),), interceptors=(ErrorStatuses(),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        for number, raised in enumerate(RAISED):
            logged.clear()
            call = channel.unary_unary("/s/fail")(b"%d" % number)
            pushback = dict(await call.trailing_metadata()).get("grpc-retry-pushback-ms")
            outcome = [type(raised).__name__, (await call.code()).name, await call.details(), logged, pushback]
            print(json.dumps(outcome))
    await server.stop(0)


asyncio.run(main())
