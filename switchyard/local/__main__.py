"""``python -m switchyard.local OVERLAY``: the supervisor, without the command line's libraries."""

import argparse
import logging
import os
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

from switchyard.local.errors import LocalError
from switchyard.local.plan.plan import plan
from switchyard.local.plan.render import render
from switchyard.local.plan.workloads import Plan
from switchyard.local.status import run_directory, terminal
from switchyard.local.status.board import ProcessStatus, StatusBoard
from switchyard.local.status.run_directory import Run, StateDirectory
from switchyard.local.supervisor import project
from switchyard.memory import settle_for_serving
from switchyard.settings import SettingsError, log_level
from switchyard.telemetry.logs import JsonFormatter
from switchyard.telemetry.metrics import Phase

PRELOAD = "SWITCHYARD_PRELOAD"


class Announcer:
    """Calls ``tell`` once: with an empty string when the gateway is ready, or with the reason why it failed."""

    def __init__(self, gateway: str, tell: Callable[[str], None]) -> None:
        self._gateway = gateway
        self._tell: Callable[[str], None] | None = tell

    def changed(self, name: str, entry: ProcessStatus) -> None:
        if self._tell and name == self._gateway and entry.state in ("ready", "failed"):
            tell, self._tell = self._tell, None
            tell("" if entry.state == "ready" else f"{name} {entry.reason}")

    def phase(self, name: str, phase: Phase, seconds: float) -> None:
        return


def supervise(overlay: Path, directory: StateDirectory, *, preloading: bool, report: int | None) -> None:
    """Render, plan and run ``overlay`` until a signal.

    ``report`` is a file descriptor to which the outcome of the start is written: empty, or why the gateway failed.

    Raises:
        LocalError, SettingsError: the overlay cannot be run.
    """
    root = project.root_of(Path.cwd())
    cleaned = run_directory.clean(directory)
    planned = plan(render(overlay), project.options_of(root, directory))
    _log_to(directory.log("supervisor"))
    if cleaned:
        logging.getLogger(__name__).warning("ended %d processes left over from a killed run", cleaned)
    shown = terminal.view() if report is None else terminal.PlainView(lambda line: None)
    gateway = next((deployment.name for deployment in planned.deployments if deployment.gateway), "")

    def up(run: Run, board: StatusBoard) -> None:
        shown.begin(run, board)

        def announce(problem: str) -> None:
            models = [service.model for service in planned.services]
            shown.say(problem or terminal.next_steps(run, models))
            if report is not None:
                os.write(report, problem.encode())
                os.close(report)

        board.listen(Announcer(gateway, announce))
        if not gateway:
            announce("")

    try:
        _run(planned, overlay, root, directory, preloading, up)
    finally:
        shown.end()


def _run(
    planned: Plan,
    overlay: Path,
    root: Path,
    directory: StateDirectory,
    preloading: bool,
    up: Callable[[Run, StatusBoard], None],
) -> None:
    import uvloop

    from switchyard.local.supervisor.assembly import Settings
    from switchyard.local.supervisor.supervise import Supervisor

    settings = Settings(
        options=project.options_of(root, directory),
        directory=directory,
        environ=dict(os.environ),
        run_id=uuid.uuid4().hex,
        preloading=preloading,
    )

    async def main() -> None:
        supervisor = Supervisor(planned, settings, overlay)
        settle_for_serving()
        await supervisor.run(up)

    uvloop.run(main())


def _log_to(path: Path) -> None:
    handler = logging.FileHandler(path)
    handler.setFormatter(JsonFormatter("local"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(log_level(os.environ).upper())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m switchyard.local", description=__doc__)
    parser.add_argument("overlay", type=Path)
    parser.add_argument("--no-preload", action="store_true", help=f"as {PRELOAD}=0")
    parser.add_argument("--report", type=int, help="file descriptor to which the outcome of the start is written")
    options = parser.parse_args()
    if options.report is not None:
        os.set_inheritable(options.report, False)  # the reader waits for its end, so no child may inherit it
    overlay = options.overlay.resolve()
    directory = project.directory_of(project.root_of(Path.cwd()))
    preloading = not options.no_preload and os.environ.get(PRELOAD, "1") != "0"
    try:
        with directory.lock():
            supervise(overlay, directory, preloading=preloading, report=options.report)
    except (LocalError, SettingsError) as err:
        if options.report is not None:
            os.write(options.report, str(err).encode())
        sys.exit(f"error: {err}")


if __name__ == "__main__":
    main()
