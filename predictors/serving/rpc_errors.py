"""Errors of the calls that gRPC's library serves."""

from base64 import b64decode
from typing import Any

import grpc

from switchyard.http.api_errors import ApiError
from switchyard.rpc import status as statuses

_CODES = {code.value[0]: code for code in grpc.StatusCode}
_BINARY = b"-bin"  # ends the names of fields whose values are bytes, which the library encodes


async def abort(context: Any, error: ApiError) -> None:
    """End a call with an error; its trailers say whether and when to retry, beside what was set to be in them."""
    failure = statuses.rpc_error(error)
    told = [
        (name.decode(), b64decode(value + b"==") if name.endswith(_BINARY) else value.decode())
        for name, value in failure.metadata
    ]
    await context.abort(_CODES[failure.status], failure.message, (*(context.trailing_metadata() or ()), *told))
