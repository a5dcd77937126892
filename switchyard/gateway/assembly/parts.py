"""What a gateway is built from."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from prometheus_client import CollectorRegistry

from switchyard.catalog import CatalogSource
from switchyard.gateway.audit.log import AuditLog
from switchyard.gateway.files.storage import Storage
from switchyard.gateway.keys.stored_keys import StoredKeys
from switchyard.gateway.meter import Meter
from switchyard.gateway.settings import Settings
from switchyard.gateway.tenants.file import TenantsFile
from switchyard.http.client import Client
from switchyard.store.ledger import Ledger
from switchyard.store.recordings.contract import Recordings
from switchyard.telemetry.metrics.gateway import GatewayMetrics
from switchyard.telemetry.process import registry_of
from switchyard.telemetry.tracing import Tracer


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """What a gateway is built from; without ``tenants`` it asks for no keys.

    Without ``ledger`` it limits nobody and counts nothing, without ``keys`` it knows those of the file alone. ``own``
    are tenants' own instances. Without ``storage`` it has no files and no batches, without ``recordings`` it
    keeps no responses.
    """

    settings: Settings
    source: CatalogSource
    client: Client
    tracer: Tracer
    registry: CollectorRegistry
    meter: Meter
    tenants: TenantsFile | None
    ledger: Ledger | None
    own: Mapping[str, CatalogSource]
    keys: StoredKeys | None
    audit: AuditLog
    storage: Storage | None
    recordings: Recordings | None


def parts(
    settings: Settings,
    source: CatalogSource,
    client: Client,
    tracer: Tracer,
    tenants: TenantsFile | None = None,
    ledger: Ledger | None = None,
    own: Mapping[str, CatalogSource] = MappingProxyType({}),
    keys: StoredKeys | None = None,
    audit: AuditLog | None = None,
    storage: Storage | None = None,
    recordings: Recordings | None = None,
) -> Parts:
    """Build the parts of a gateway, with its own metrics registry."""
    registry = registry_of("gateway")
    meter = Meter(GatewayMetrics(registry))
    return Parts(
        settings=settings,
        source=source,
        client=client,
        tracer=tracer,
        registry=registry,
        meter=meter,
        tenants=tenants,
        ledger=ledger,
        own=own,
        keys=keys,
        audit=audit or AuditLog(None),
        storage=storage,
        recordings=recordings,
    )
