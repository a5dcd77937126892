"""``python -m switchyard.router --graph-json JSON``: what KServe's controller starts for an InferenceGraph."""

import argparse
import logging
import os
import sys

import uvloop

from switchyard.router.graph.check import require
from switchyard.router.graph.spec import parse
from switchyard.router.header_propagation import compile_patterns
from switchyard.router.server import serve
from switchyard.router.settings import Settings
from switchyard.settings import SettingsError, warn_of_misspelled
from switchyard.telemetry import logs

logger = logging.getLogger(__name__)


def main() -> int:
    """Serve until a signal arrives; return the exit status."""
    # Without abbreviations, which Go's pflag in KServe's router does not take either.
    parser = argparse.ArgumentParser(
        prog="python -m switchyard.router", description="Runs an InferenceGraph.", allow_abbrev=False
    )
    parser.add_argument("--graph-json", required=True, help="the spec of an InferenceGraph, as JSON")
    arguments = parser.parse_args()
    try:
        settings = Settings.from_env(os.environ)
        logs.configure(settings.k_service or "router", settings.log_level)
        warn_of_misspelled(os.environ, Settings)
        graph = parse(arguments.graph_json)
        warnings = require(graph)
    except ValueError as err:
        print(f"router: {err}", file=sys.stderr)
        return SettingsError.exit_code
    propagation, problems = compile_patterns(settings.propagate_headers)
    for warning in (*warnings, *problems):
        logger.warning(str(warning))
    try:
        uvloop.run(serve(graph, settings, propagation))
    except OSError as err:
        print(f"router: {err}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
