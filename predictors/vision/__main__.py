"""``python -m predictors.vision --model_name=NAME --triton_http=HOST:PORT --triton_grpc=… --triton_metrics=…``."""

import asyncio
import logging
import os
import sys
from collections.abc import Coroutine
from typing import Any, Protocol

from predictors.serving.settings import Settings
from predictors.serving.start_clock import StartClock, process_start
from predictors.vision.arguments import Arguments, parse
from predictors.vision.settings import VisionSettings
from switchyard.memory import settle_for_serving
from switchyard.settings import SettingsError, warn_of_misspelled
from switchyard.telemetry import logs

logger = logging.getLogger(__name__)


class Stoppable(Protocol):
    """A server that can be told that it cannot serve any longer."""

    def lost(self, reason: str) -> None: ...


def beside(server: Stoppable, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    """Run ``work`` in the background; when it fails, the server ends, because it no longer knows Triton's state."""

    def ended(task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (err := task.exception()) is not None:
            logger.error("background work of the server failed", exc_info=err)
            server.lost(f"its background work failed: {err!r}")

    task = asyncio.create_task(work)
    task.add_done_callback(ended)
    return task


async def serve(arguments: Arguments, settings: Settings, vision: VisionSettings, clock: StartClock) -> int:
    """Serve until a signal, whether Triton runs or not; return the exit code."""
    from predictors.vision.assembly import assemble

    logs.configure(arguments.model_name, settings.log_level)  # again, because some of these imports reset logging
    clock.done("import")
    parts = assemble(arguments, settings, vision, clock)
    settle_for_serving()
    # Beside the server and not before it: a predictor whose Triton still starts responds, with a sentence that says so.
    works = (parts.watch.run(), parts.loaded_models.run(), parts.follower.run(), parts.log.run())
    background = [beside(parts.server, work) for work in works]
    try:
        stopped = await parts.server.run(parts.service, parts.wrap, parts.grpc, parts.front)
    finally:
        for task in background:
            task.cancel()
        await parts.close()
    return 0 if stopped else 1


def main() -> None:
    try:
        settings = Settings.from_env(os.environ)
        vision = VisionSettings.from_env(os.environ)
        arguments = parse(sys.argv[1:])
        logs.configure(arguments.model_name, settings.log_level)
        warn_of_misspelled(os.environ, Settings, VisionSettings)
        clock = StartClock(arguments.model_name, process_start())
        sys.argv = sys.argv[:1]  # kserve parses the command line when it is imported
        from predictors.serving.server import run_to_end

        code = run_to_end(serve(arguments, settings, vision, clock))
    except SettingsError as err:
        print(err, file=sys.stderr)
        code = err.exit_code
    sys.exit(code)


if __name__ == "__main__":
    main()
