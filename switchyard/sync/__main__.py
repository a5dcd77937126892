"""``python -m switchyard.sync --source DIR --published DIR``: publishes what is good of a model repository."""

import argparse
import asyncio
import sys
from pathlib import Path

from switchyard.repository.inspection import Device
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
    settings = Settings(
        source=arguments.source.resolve(),
        published=arguments.published.absolute(),
        reserved=arguments.reserved,
        http_port=arguments.http_port,
        device=Device(),
    )
    try:
        asyncio.run(run(settings))
    except (PublishedError, JudgeError, OSError) as err:
        print(f"sync: {err}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
