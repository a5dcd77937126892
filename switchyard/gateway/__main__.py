"""``python -m switchyard.gateway``"""

import argparse
import os
import sys

import uvloop

from switchyard.catalog import CatalogFile
from switchyard.catalog.cached import CachedCatalog
from switchyard.gateway.lookup import Sources
from switchyard.gateway.server import serve
from switchyard.gateway.settings import Settings, hosts, in_cluster
from switchyard.settings import SettingsError, warn_of_misspelled
from switchyard.telemetry import logs


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m switchyard.gateway", description="Every model behind one port.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--http_port", type=int, default=8000)
    parser.add_argument("--grpc_port", type=int, default=8001)
    return parser.parse_args()


def _sources(settings: Settings, *, in_pod: bool) -> Sources:
    """Return the catalog's file where a setting names one, as in local mode; in a pod, what namespaces serve.

    The pod's own namespace serves all, and those that settings name serve a tenant each.
    """
    if settings.switchyard_catalog is not None:
        # 5 ms: a caller cannot tell the catalog's age, and under load one stat of the file serves many calls.
        return Sources(CachedCatalog(CatalogFile(settings.switchyard_catalog), seconds=0.005), {})
    if not in_pod:
        raise SettingsError(
            "SWITCHYARD_CATALOG is not set: name the catalog file that local mode writes; in a cluster leave it out"
        )
    # Late: the official client of Kubernetes costs 0.4 s of start and 23 MB, which local mode need not pay.
    from switchyard.cluster.api import ApiServerError, of_this_pod
    from switchyard.cluster.source import ClusterCatalog

    try:
        source = ClusterCatalog(of_this_pod())
        own = {name: ClusterCatalog(of_this_pod(place)) for name, place in settings.switchyard_tenant_namespaces}
    except ApiServerError as err:
        raise SettingsError(str(err)) from err
    for one in (source, *own.values()):
        one.start()
    return Sources(source, own)


def main() -> int:
    """Serve until a signal; return the exit status."""
    arguments = _arguments()
    try:
        settings = Settings.from_env(os.environ)
        listened = hosts(arguments.host, settings)
        logs.configure("gateway", settings.log_level)
        warn_of_misspelled(os.environ, Settings)
        sources = _sources(settings, in_pod=in_cluster(os.environ))
    except ValueError as err:
        print(f"gateway: {err}", file=sys.stderr)
        return 2
    try:
        uvloop.run(serve(settings, sources, listened, arguments.http_port, arguments.grpc_port))
    except SettingsError as err:
        print(f"gateway: {err}", file=sys.stderr)
        return err.exit_code
    except OSError as err:
        print(f"gateway: {err}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
