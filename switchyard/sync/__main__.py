"""``python -m switchyard.sync --source PLACE --published DIR``: publishes what is good of a model repository."""

import argparse
import logging
import os
import sys
import threading
from pathlib import Path
from typing import NoReturn

import uvloop

from switchyard.cluster.api import ApiServerError
from switchyard.cluster.publishing import Derivation, reporter_of_this_pod
from switchyard.devices.choice import DeviceError, of_environment
from switchyard.devices.declared import of_deployment
from switchyard.devices.probe import probe
from switchyard.repository.judging import JudgeError
from switchyard.repository.publishing import PublishedError
from switchyard.repository.signature import SignaturePolicy
from switchyard.repository.sources import SourceError
from switchyard.repository.sources.cache import WeightCache
from switchyard.settings import SettingsError
from switchyard.sync.downloads.sources import downloaders
from switchyard.sync.program import Settings, run
from switchyard.telemetry import logs


def main() -> int:
    """Follow the repository until a signal arrives; return the exit status."""
    parser = _parser()
    arguments = parser.parse_args()
    try:
        logs.configure("sync", arguments.log_level)
    except ValueError as err:
        parser.error(str(err))
    folders = [source for source in arguments.source if "://" not in source]
    addresses = [source for source in arguments.source if "://" in source]
    if len(folders) > 1:
        parser.error(f"--source names {len(folders)} folders: one may be watched, the others are addresses")
    if folders and not Path(folders[0]).is_dir():
        print(f"sync: {folders[0]} is not a folder", file=sys.stderr)
        return SettingsError.exit_code
    published = arguments.published.absolute()
    try:
        signatures = SignaturePolicy.from_env(os.environ)
        device = of_deployment(os.environ) if arguments.in_cluster else of_environment(probe(os.environ)).device
        following = downloaders(
            addresses,
            published,
            claims=dict(arguments.claim),
            seconds=arguments.listing_seconds,
            cache=WeightCache(arguments.cache, arguments.cache_gb * 10**9) if arguments.cache else None,
        )
        derivation = Derivation(gpus=int(device.kind == "cuda"), scale_down_delay=arguments.scale_down_delay)
        reporters = [reporter_of_this_pod(derivation)] if arguments.in_cluster else []
    except (ApiServerError, DeviceError, SettingsError, SourceError) as err:
        print(f"sync: {err}", file=sys.stderr)
        return SettingsError.exit_code
    settings = Settings(
        source=Path(folders[0]).resolve() if folders else None,
        published=published,
        reserved=arguments.reserved,
        host=arguments.host,
        http_port=arguments.http_port,
        device=device,
        signatures=signatures,
    )
    status = 0
    try:
        uvloop.run(run(settings, downloaders=following, reporters=reporters))
    except* (PublishedError, JudgeError, OSError) as group:
        print(f"sync: {_first(group)}", file=sys.stderr)
        status = 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m switchyard.sync", description="Judges the models in a folder and publishes what is good."
    )
    parser.add_argument(
        "--source",
        action="append",
        required=True,
        metavar="FOLDER|ADDRESS",
        help="has vision/<model>/ and llm/<model>/ in it: one folder of this machine, and any number of s3://, gs://, "
        "hf://, oci:// and pvc:// addresses, or [group/name=]ADDRESS for one model",
    )
    parser.add_argument("--published", type=Path, required=True, help="where engines read what is good")
    parser.add_argument(
        "--claim", action="append", default=[], type=_claim, metavar="NAME=FOLDER", help="where pvc://NAME is mounted"
    )
    parser.add_argument(
        "--listing_seconds", type=_pause, default=10.0, help="between two listings of an address: from 1 to 3600"
    )
    parser.add_argument(
        "--in_cluster",
        action="store_true",
        help="tell the status to the namespace of this pod, and keep a service for each language model there, of the "
        "device that SWITCHYARD_DEVICE, SWITCHYARD_DEVICE_MEMORY and SWITCHYARD_DEVICE_CAPABILITY declare",
    )
    parser.add_argument("--scale_down_delay", default="10m", help="how long it stays awake without requests")
    parser.add_argument(
        "--cache", type=Path, help="keep fetched files there for other models, on the file system of --published"
    )
    parser.add_argument("--cache_gb", type=int, default=50, help="how much that folder may hold")
    parser.add_argument("--reserved", type=Path, help="a JSON object of names that others have, and whose they are")
    parser.add_argument("--http_port", type=int, help="serve /healthz, /status and /metrics there")
    parser.add_argument("--host", default="127.0.0.1", help="the address of that port")
    parser.add_argument("--log_level", default="info")
    return parser


def _claim(text: str) -> tuple[str, Path]:
    name, mark, folder = text.partition("=")
    if not mark:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=FOLDER")
    return name, Path(folder)


def _pause(text: str) -> float:
    seconds = float(text)
    if not 1 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is not from 1 to 3600")
    return seconds


def _first(err: BaseException) -> BaseException:
    return _first(err.exceptions[0]) if isinstance(err, BaseExceptionGroup) else err


def _leave(status: int) -> NoReturn:
    """End this process, also where threads wait for stores that never end: Python would join them."""
    if any(thread is not threading.main_thread() and not thread.daemon for thread in threading.enumerate()):
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    _leave(main())
