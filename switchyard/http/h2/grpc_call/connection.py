"""The gRPC calls of one client's connection."""

from switchyard.http.addresses import Address
from switchyard.http.body_memory import BodyMemory
from switchyard.http.h2.grpc_call.call import GrpcCall
from switchyard.http.h2.grpc_call.fast import FastForwarding
from switchyard.http.h2.grpc_call.handlers import CallContext, FastHandler, RpcHandler, Start
from switchyard.http.h2.grpc_call.headers import RpcRequest, read_request
from switchyard.http.h2.request_headers import RequestHeaders
from switchyard.http.h2.server import RequestHandler
from switchyard.http.web_access import WebAccess
from switchyard.rpc.status import RpcError, RpcStatus


class Calls:
    """Opens the calls of one connection; without a handler they get UNIMPLEMENTED. See ``CallContext``.

    Those that ``access`` rejects reach no handler.
    """

    def __init__(
        self,
        handler: RpcHandler | None,
        start: Start,
        read_seconds: float | None,
        memory: BodyMemory,
        access: WebAccess | None = None,
    ) -> None:
        self._access = access
        self._fast = handler if isinstance(handler, FastHandler) else None
        self.context = CallContext(
            handler=handler or _unimplemented, start=start, read_seconds=read_seconds, body_memory=memory
        )

    def open(self, headers: RequestHeaders, client: Address | None, server: Address | None) -> RequestHandler:
        """Return the handler of the stream of a call that starts with ``headers``."""
        request = headers.memo
        if not isinstance(request, RpcRequest):
            request = headers.memo = read_request(headers, self._access)
        fast = self._fast
        if fast is not None and request.path in fast.paths and request.fault is None:
            return FastForwarding(fast, self.context, request, (client, server))
        return GrpcCall(self.context, request, client, server)

    def close(self) -> None:
        """Close the upstream connections, as the client's has been closed."""
        self.context.upstreams.close()


def forward_to(target: str) -> RpcHandler:
    """Return a handler that forwards every call to ``target``, unchanged."""

    async def forward(call: GrpcCall) -> None:
        await call.forward(target, call.metadata)

    return forward


async def _unimplemented(call: GrpcCall) -> None:
    raise RpcError(RpcStatus.UNIMPLEMENTED, "this port does not serve gRPC")
