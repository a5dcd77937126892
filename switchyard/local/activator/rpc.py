"""The gRPC endpoint of every service, on the port of its HTTP endpoint: queues calls likewise and forwards them."""

import asyncio
import logging
from collections.abc import Mapping, Sequence

from switchyard.http.api_errors import ApiError
from switchyard.http.h2.grpc_call import GrpcCall, UpstreamUnavailableError
from switchyard.http.headers import CLIENT_TO_REPLICA, Header
from switchyard.local.activator import repository_control
from switchyard.local.activator.application import ATTEMPTS, BODY_BYTES, Endpoint
from switchyard.local.activator.spans import HeldRequest
from switchyard.local.plan import arguments
from switchyard.local.plan.workloads import Address
from switchyard.local.program import program
from switchyard.rpc import health, v2
from switchyard.rpc.status import RpcError, RpcStatus
from switchyard.telemetry.trace_context import TRACEPARENT
from switchyard.telemetry.tracing import Tracer

logger = logging.getLogger(__name__)

_PROBES = frozenset((*map(v2.path, ("ServerLive", "ServerReady", "ModelReady")), health.CHECK, health.WATCH))

# Calls of one message: it is read whole, so that it can be sent again should its replica die, whatever its size.
_UNARY = frozenset(map(v2.path, (*v2.UNARY, *v2.REPOSITORY)))


class RpcActivator:
    """The handler of gRPC calls; ``endpoints`` are the services that take them, by the port at which a call arrived."""

    def __init__(self, endpoints: Mapping[int, Endpoint], tracer: Tracer) -> None:
        self._endpoints = endpoints
        self._tracer = tracer

    async def handle(self, call: GrpcCall) -> None:
        """Forward one call.

        Raises:
            ApiError: the service cannot take it.
            RpcError: the service takes no gRPC, or the message cannot be read.
        """
        endpoint = self._endpoints.get(call.server[1]) if call.server else None
        if endpoint is None:
            raise RpcError(RpcStatus.UNIMPLEMENTED, "this service takes no gRPC; use HTTP")
        if call.path in _PROBES:
            await self._probe(endpoint, call)
            return
        control = repository_control.of_call(call.path)
        if control is not None and endpoint.loadable is not None:
            repository_control.check_message(control, await call.first_message(repository_control.BODY_BYTES))
            await repository_control.carry_out(control, endpoint.loadable, endpoint.name, endpoint.timeout)
            call.respond(b"")
            return
        deadline = asyncio.get_running_loop().time() + endpoint.timeout
        with HeldRequest(self._tracer, endpoint.name, call.fields.get(TRACEPARENT)) as held:
            if call.path in _UNARY:
                size = len(await call.first_message(BODY_BYTES))
                await self._deliver(endpoint, call, size, deadline, held, response_by=deadline)
            else:
                # A stream lasts as long as its client wants. It counts no bytes: until it is forwarded, HTTP/2's window
                # keeps its messages with the client.
                await self._deliver(endpoint, call, 0, deadline, held, response_by=None)

    async def _deliver(
        self,
        endpoint: Endpoint,
        call: GrpcCall,
        size: int,
        deadline: float,
        held: HeldRequest,
        *,
        response_by: float | None,
    ) -> None:
        for attempt in range(ATTEMPTS):
            address = await endpoint.admitted(size, deadline, held, retry=attempt > 0)
            status = None
            try:
                async with asyncio.timeout_at(response_by):
                    status = await _forward(call, address, held.headers)
                return
            except UpstreamUnavailableError as err:
                logger.info("%s did not respond (%s); the call waits again", endpoint.name, err)
                endpoint.queue.suspect(address)
            except TimeoutError as err:
                message = f"{endpoint.name} did not respond within {endpoint.timeout:g} s"
                raise ApiError("upstream_timeout", message) from err
            finally:
                endpoint.queue.release(responded=status is not None)
        told = f"{endpoint.name} ended {ATTEMPTS} times while it worked on this call"
        raise ApiError("upstream_closed", f"{told}; see `{program()} logs {endpoint.name}`")

    async def _probe(self, endpoint: Endpoint, call: GrpcCall) -> None:
        """Forward a probe, which must neither wake a model nor keep it awake."""
        address = endpoint.queue.address
        if address is None:
            raise ApiError("model_not_ready", f"{endpoint.name} does not run now; a call to it starts it")
        await _forward(call, address)


async def _forward(call: GrpcCall, address: Address, added: Sequence[Header] = ()) -> RpcStatus:
    target = f"{arguments.LOOPBACK}:{address.http_port}"
    return await call.forward(target, CLIENT_TO_REPLICA.passed(call.metadata, added))
