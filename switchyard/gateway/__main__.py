"""``python -m switchyard.gateway``"""

import argparse
import os
import sys

import uvloop

from switchyard.catalog import CatalogFile, CatalogSource
from switchyard.gateway.recent import Recent
from switchyard.gateway.server import serve
from switchyard.gateway.settings import Settings, SettingsError, refuse_open_door
from switchyard.telemetry import logs


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m switchyard.gateway", description="One door for every model.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--http_port", type=int, default=8000)
    parser.add_argument("--grpc_port", type=int, default=8001)
    return parser.parse_args()


def _source(settings: Settings) -> CatalogSource:
    if settings.switchyard_catalog is None:
        raise SettingsError(
            "SWITCHYARD_CATALOG is not set: name the catalog file that local mode writes "
            "(reading the catalog from a cluster is not built yet)"
        )
    return Recent(CatalogFile(settings.switchyard_catalog), seconds=0.005)


def main() -> int:
    """Serves until told to stop; returns the exit status."""
    arguments = _arguments()
    try:
        settings = Settings.from_env(os.environ)
        refuse_open_door(arguments.host, settings)
        source = _source(settings)
        logs.configure("gateway", settings.log_level)
    except ValueError as err:
        print(f"gateway: {err}", file=sys.stderr)
        return 2
    try:
        uvloop.run(serve(settings, source, arguments.host, arguments.http_port, arguments.grpc_port))
    except OSError as err:
        print(f"gateway: {err}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
