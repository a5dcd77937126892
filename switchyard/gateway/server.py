"""Runs the gateway until a signal, then lets requests finish."""

import asyncio
import logging
from collections.abc import Sequence

from switchyard.gateway.app import Gateway, parts
from switchyard.gateway.edges.http import server_error
from switchyard.gateway.keys.stored_keys import StoredKeys
from switchyard.gateway.lookup import Sources
from switchyard.gateway.meter import Meter
from switchyard.gateway.operations import ready
from switchyard.gateway.settings import Settings
from switchyard.gateway.tenants.file import TenantsFile
from switchyard.gateway.usage.hours.following import follow_hours
from switchyard.gateway.usage.hours.replicas import looking
from switchyard.gateway.usage.pruning import prune_by_age
from switchyard.http.client import Client, Limits
from switchyard.http.server import Server, ServerLimits
from switchyard.http.server.lifecycle import serve_until_signal
from switchyard.http.tls import TlsError, WatchedTls
from switchyard.http.web_access import WebAccess, is_loopback
from switchyard.memory import settle_for_serving
from switchyard.rpc.health import Health, with_health
from switchyard.settings import SettingsError
from switchyard.store.factory import open_ledger, open_records
from switchyard.store.ledger import Ledger
from switchyard.telemetry import tracing

logger = logging.getLogger(__name__)


async def serve(settings: Settings, sources: Sources, hosts: Sequence[str], http_port: int, grpc_port: int) -> None:
    """Serve until SIGTERM or SIGINT, then drain as the settings say.

    Both ports take HTTP and gRPC; ``grpc_port`` is for clients that use one port for each, and 0 leaves it out.

    Raises:
        OSError: a port cannot be bound.
        SettingsError: the store, the file of tenants or the files of TLS cannot be used.
    """
    tenants, ledger = await _tenants(settings)
    keys = await _keys(settings)
    client = Client(Limits())
    given = parts(settings, sources.shared, client, tracing.configure("gateway"), tenants, ledger, sources.own, keys)
    gateway, tls = Gateway(given), watched_tls(settings, given.meter)

    # False from the first moment of a drain, so that gRPC clients which balance by the health service leave in time.
    def serving() -> bool:
        return ready(sources.shared, draining=gateway.draining).status == 200

    def on_drain() -> None:
        gateway.draining = True
        logger.info("draining", extra={"in_flight": server.in_flight})

    rpc = with_health(Health(serving), gateway.handle_rpc)
    # Others reach this gateway by names that it does not know, unless it serves its own machine only.
    access = web_access(settings, next((host for host in hosts if not is_loopback(host)), hosts[0]))
    server = Server(
        gateway.handle, server_limits(settings), rpc=rpc, tls=tls, error_response=server_error, access=access
    )
    wanted = [http_port, grpc_port] if grpc_port else [http_port]
    ports = [await server.listen(host, port) for host in hosts for port in wanted]
    settle_for_serving()
    following = [asyncio.create_task(file.follow()) for file in (tenants, keys, tls) if file is not None]
    following += _of_the_ledger(settings, sources, tenants, ledger)
    logger.info("serving", extra={"host": ", ".join(hosts), "ports": ports})
    try:
        drain, grace = settings.drain_seconds, settings.grace_seconds
        await serve_until_signal(server, drain_seconds=drain, grace_seconds=grace, on_drain=on_drain)
    finally:
        for task in following:
            task.cancel()
        # After the drain alone: responses in flight still come by these connections.
        await client.aclose()
        await gateway.aclose()
        for opened in (ledger, keys):
            if opened is not None:
                await opened.aclose()
    logger.info("stopped")


async def _tenants(settings: Settings) -> tuple[TenantsFile | None, Ledger | None]:
    """Read the file of tenants, if there is one, and open the ledger in which their calls are counted."""
    if settings.switchyard_tenants is None:
        return None, None
    try:
        ledger = open_ledger(settings.switchyard_store) if settings.switchyard_store else None
    except ValueError as err:
        raise SettingsError(f"SWITCHYARD_STORE: {err}") from err
    tenants = TenantsFile(settings.switchyard_tenants, has_store=ledger is not None)
    await tenants.load()
    return tenants, ledger


def _of_the_ledger(
    settings: Settings, sources: Sources, tenants: TenantsFile | None, ledger: Ledger | None
) -> list[asyncio.Task[None]]:
    """Start what keeps a ledger: hours of accelerators are counted and shared out, and what is old is forgotten."""
    if tenants is None or ledger is None:
        return []
    look = looking(sources.shared, sources.own, lambda: tenants.current.prices)
    tasks = [asyncio.create_task(follow_hours(ledger, look))]
    if settings.usage_days:
        tasks.append(asyncio.create_task(prune_by_age(ledger, settings.usage_days)))
    return tasks


async def _keys(settings: Settings) -> StoredKeys | None:
    """Read the keys of the store, if there is one; one that does not respond now is read later."""
    if settings.switchyard_tenants is None or not settings.switchyard_store:
        return None
    keys = StoredKeys(open_records(settings.switchyard_store))
    await keys.try_refresh()
    return keys


def watched_tls(settings: Settings, meter: Meter) -> WatchedTls | None:
    """Return the certificate that the settings name, None for a gateway without.

    Raises:
        SettingsError: it cannot be used.
    """
    if settings.tls is None:
        return None
    try:
        return WatchedTls(settings.tls, meter.certificate)
    except TlsError as err:
        raise SettingsError(str(err)) from err


def server_limits(settings: Settings) -> ServerLimits:
    """Return the limits of the gateway's ports."""
    memory = ServerLimits.memory_for(settings.max_body_bytes)
    return ServerLimits(read_seconds=settings.body_seconds, body_memory=memory)


def web_access(settings: Settings, host: str) -> WebAccess:
    """Return which requests of web pages ports on ``host`` serve."""
    return WebAccess(host, settings.allowed_hosts, settings.cors_allow_origins)
