"""Runs the gateway until a signal, then lets requests finish."""

import asyncio
import logging
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from switchyard.gateway.app import Gateway
from switchyard.gateway.assembly.parts import Parts, parts
from switchyard.gateway.audit.edits import TenantsEdits
from switchyard.gateway.audit.log import AuditLog
from switchyard.gateway.edges.invalid import InvalidRequests
from switchyard.gateway.files.storage import Storage, open_storage
from switchyard.gateway.keys.stored_keys import StoredKeys
from switchyard.gateway.lookup import Sources
from switchyard.gateway.meter import Meter
from switchyard.gateway.operations import ready
from switchyard.gateway.routes.table import WEBSOCKET_PATHS
from switchyard.gateway.settings import Settings
from switchyard.gateway.tenants.file import TenantsFile
from switchyard.gateway.usage.hours.following import follow_hours
from switchyard.gateway.usage.hours.replicas import looking
from switchyard.gateway.usage.pruning import prune_by_age
from switchyard.http.client import Client, Limits
from switchyard.http.h2.grpc_call import RpcHandler
from switchyard.http.server import Server, ServerLimits
from switchyard.http.server.lifecycle import serve_until_signal
from switchyard.http.tls import TlsError, WatchedTls
from switchyard.http.web_access import WebAccess, is_loopback
from switchyard.memory import settle_for_serving
from switchyard.rpc.health import Health, with_health
from switchyard.settings import SettingsError
from switchyard.store.factory import open_journal, open_ledger, open_recordings, open_records
from switchyard.store.ledger import Ledger
from switchyard.store.recordings.contract import Recordings
from switchyard.telemetry import tracing

logger = logging.getLogger(__name__)


async def serve(settings: Settings, sources: Sources, hosts: Sequence[str], http_port: int, grpc_port: int) -> None:
    """Serve until SIGTERM or SIGINT, then drain as the settings say.

    Both ports take HTTP and gRPC; ``grpc_port`` is for clients that use one port for each, and 0 leaves it out.

    Raises:
        OSError: a port cannot be bound.
        SettingsError: the store, the file of tenants or the files of TLS cannot be used.
    """
    tracer = tracing.configure("gateway", follows_callers=settings.trust_traceparent)
    tenancy, client = replace(await _tenancy(settings), storage=open_storage(settings)), Client(Limits())
    shared = tenancy.tenants, tenancy.ledger, sources.own, tenancy.keys, tenancy.audit, tenancy.storage
    given = parts(settings, sources.shared, client, tracer, *shared, recordings=tenancy.recordings)
    gateway, tls = Gateway(given), watched_tls(settings, given.meter)

    # False from the first moment of a drain, so that gRPC clients which balance by the health service leave in time.
    def serving() -> bool:
        return ready(sources.shared, draining=gateway.draining).status == 200

    def on_drain() -> None:
        gateway.drain()
        logger.info("draining", extra={"in_flight": server.in_flight})

    rpc = with_health(Health(serving), gateway.handle_rpc)
    server = _server(gateway, given, hosts, rpc, tls)
    wanted = [http_port, grpc_port] if grpc_port else [http_port]
    ports = [await server.listen(host, port) for host in hosts for port in wanted]
    settle_for_serving()
    followed = [one.follow() for one in (tls, gateway.batches) if one is not None]
    background = [*tenancy.background_tasks(settings, sources), *followed]
    tasks = [asyncio.create_task(one) for one in background]
    logger.info("serving", extra={"host": ", ".join(hosts), "ports": ports})
    try:
        drain, grace = settings.drain_seconds, settings.grace_seconds
        await serve_until_signal(
            server, drain_seconds=drain, grace_seconds=grace, on_drain=on_drain, on_closed=gateway.reject_waiting
        )
    finally:
        for task in tasks:
            task.cancel()
        await gateway.end_batches()
        # After the drain alone: responses in flight still come by these connections.
        await client.aclose()
        await gateway.aclose()
        await tenancy.aclose()
    logger.info("stopped")


def _server(gateway: Gateway, given: Parts, hosts: Sequence[str], rpc: RpcHandler, tls: WatchedTls | None) -> Server:
    settings = given.settings
    return Server(
        gateway.handle,
        server_limits(settings),
        rpc=rpc,
        tls=tls,
        error_response=InvalidRequests(given.meter.metrics.access, log_requests=settings.log_requests),
        # Others reach this gateway by names that it does not know, unless it serves its own machine only.
        access=web_access(settings, next((host for host in hosts if not is_loopback(host)), hosts[0])),
        websocket_paths=WEBSOCKET_PATHS,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Tenancy:
    """What a gateway that has tenants reads and writes; one without writes its log alone."""

    audit: AuditLog
    tenants: TenantsFile | None = None
    ledger: Ledger | None = None
    keys: StoredKeys | None = None
    edits: TenantsEdits | None = None
    storage: Storage | None = None
    recordings: Recordings | None = None

    def background_tasks(self, settings: Settings, sources: Sources) -> Iterator[Coroutine[None, None, None]]:
        """Yield what runs beside the calls: files and keys are followed, hours counted, what is old is forgotten."""
        tenants, ledger = self.tenants, self.ledger
        for one in (tenants, self.keys, self.edits):
            if one is not None:
                yield one.follow()
        if tenants is not None and ledger is not None:
            yield follow_hours(ledger, looking(sources.shared, sources.own, lambda: tenants.current.prices))
        if ledger is not None and settings.usage_days:
            yield prune_by_age(ledger, settings.usage_days)
        yield self.audit.follow(settings.audit_days)

    async def aclose(self) -> None:
        """Close the store."""
        for one in (self.ledger, self.keys, self.audit, self.storage, self.recordings):
            if one is not None:
                await one.aclose()


async def _tenancy(settings: Settings) -> _Tenancy:
    """Read the file of tenants, if there is one, and the keys of its store; a store that is away is read later.

    Raises:
        SettingsError: the store or the file cannot be used.
    """
    path, url = settings.switchyard_tenants, settings.switchyard_store
    recordings = _recordings(url, settings.recordings_keys_file)
    if path is None:
        return _Tenancy(audit=AuditLog(None), recordings=recordings)
    tenants = TenantsFile(path, has_store=bool(url))
    if not url:
        await tenants.load()
        audit = AuditLog(None)
        return _Tenancy(audit=audit, tenants=tenants, edits=TenantsEdits(tenants, audit, None))
    try:
        ledger, records, audit = open_ledger(url), open_records(url), AuditLog(open_journal(url))
    except ValueError as err:
        raise SettingsError(f"SWITCHYARD_STORE: {err}") from err
    keys = StoredKeys(records)
    await tenants.load()
    await keys.try_refresh()
    edits = TenantsEdits(tenants, audit, records)
    return _Tenancy(audit=audit, tenants=tenants, ledger=ledger, keys=keys, edits=edits, recordings=recordings)


def _recordings(url: str, keys: Path | None) -> Recordings | None:
    if not url:
        return None
    try:
        return open_recordings(url, keys=keys)
    except ValueError as err:
        name = "SWITCHYARD_STORE" if keys is None else "SWITCHYARD_STORE or RECORDINGS_KEYS_FILE"
        raise SettingsError(f"{name}: {err}") from err


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
    memory = ServerLimits.memory_for(max(settings.max_body_bytes, settings.max_message_bytes))
    return ServerLimits(
        read_seconds=settings.body_seconds, body_memory=memory, message_bytes=settings.max_message_bytes
    )


def web_access(settings: Settings, host: str) -> WebAccess:
    """Return which requests of web pages ports on ``host`` serve."""
    return WebAccess(host, settings.allowed_hosts, settings.cors_allow_origins)
