"""``python -m switchyard.sync --source DIR --published DIR``: publishes what is good of a model repository."""

import argparse
import asyncio
import os
import sys
from pathlib import Path

from switchyard.devices.choice import DeviceError, of_environment
from switchyard.devices.probe import probe
from switchyard.repository.judging import JudgeError
from switchyard.repository.published import PublishedError
from switchyard.settings import SettingsError
from switchyard.sync.program import Settings, run
from switchyard.telemetry import logs


def main() -> int:
    """Follow the repository until a signal arrives; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m switchyard.sync", description="Judges the models in a folder and publishes what is good."
    )
    parser.add_argument("--source", type=Path, required=True, help="has vision/<model>/ and llm/<model>/ in it")
    parser.add_argument("--published", type=Path, required=True, help="where engines read what is good")
    parser.add_argument("--reserved", type=Path, help="a JSON object of names that others have, and whose they are")
    parser.add_argument("--http_port", type=int, help="serve /healthz, /status and /metrics there, on 127.0.0.1")
    parser.add_argument("--log_level", default="info")
    arguments = parser.parse_args()
    try:
        logs.configure("sync", arguments.log_level)
    except ValueError as err:
        parser.error(str(err))
    if not arguments.source.is_dir():
        print(f"sync: {arguments.source} is not a folder", file=sys.stderr)
        return SettingsError.exit_code
    try:
        device = of_environment(probe(os.environ)).device
    except DeviceError as err:
        print(f"sync: {err}", file=sys.stderr)
        return SettingsError.exit_code
    settings = Settings(
        source=arguments.source.resolve(),
        published=arguments.published.absolute(),
        reserved=arguments.reserved,
        http_port=arguments.http_port,
        device=device,
    )
    status = 0
    try:
        asyncio.run(run(settings))
    except* (PublishedError, JudgeError, OSError) as group:
        print(f"sync: {_first(group)}", file=sys.stderr)
        status = 1
    return status


def _first(err: BaseException) -> BaseException:
    return _first(err.exceptions[0]) if isinstance(err, BaseExceptionGroup) else err


if __name__ == "__main__":
    sys.exit(main())
