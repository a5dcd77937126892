"""V2 gRPC: what the gateway answers itself, and the calls that go to a model."""

from typing import Any

import grpc
import grpc.aio

from switchyard.catalog import CatalogSource
from switchyard.gateway.lookup import locator
from switchyard.gateway.meter import Meter
from switchyard.gateway.rpc.calls import passages, repositories, targets
from switchyard.gateway.rpc.catalog_methods import OwnMethods
from switchyard.rpc.channels import Channels
from switchyard.rpc.forwarder import Forwarder


def serve(source: CatalogSource, channels: Channels, meter: Meter, address: str, message_bytes: int) -> Any:
    """A gRPC server on ``address`` that is yet to be started, and the port that it has bound.

    Raises:
        OSError: the port cannot be bound.
    """
    options = [
        ("grpc.max_receive_message_length", message_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),
    ]
    server = grpc.aio.server(options=options)
    locate = locator(source)
    forwarder = Forwarder(targets(locate), channels, passages(meter), repository=repositories(locate))
    server.add_generic_rpc_handlers((OwnMethods(source, channels), forwarder))
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as err:
        raise OSError(f"gRPC cannot listen on {address}; is another process using it?") from err
    return server, port
