"""``python -m switchyard.local OVERLAY``: the supervisor, without the command line's libraries."""

import argparse
import logging
import os
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from switchyard.local.errors import LocalError
from switchyard.local.plan.plan import plan
from switchyard.local.plan.render import documents, fingerprint, render_text
from switchyard.local.plan.workloads import Deployment, Plan
from switchyard.local.program import ALERTS_VARIABLE
from switchyard.local.status import run_directory, terminal
from switchyard.local.status.board import ProcessStatus, StatusBoard
from switchyard.local.status.run_directory import Run, StateDirectory
from switchyard.local.supervisor import preflight, project
from switchyard.memory import settle_for_serving
from switchyard.settings import SettingsError, log_level
from switchyard.telemetry import logs
from switchyard.telemetry.metrics.families import Phase

if TYPE_CHECKING:
    from switchyard.local.supervisor.assembly import Settings

PRELOAD = "SWITCHYARD_PRELOAD"
OnUp = Callable[[Run, StatusBoard], None]


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


@dataclass(frozen=True, kw_only=True, slots=True)
class UpOptions:
    """What to run, as the command line says it.

    ``report`` is a file descriptor to which the outcome of the start is written: empty, or why the gateway failed.
    """

    overlay: Path
    port: int | None
    tls: tuple[Path, Path] | None
    preloading: bool
    observe: bool
    report: int | None


def supervise(asked: UpOptions, directory: StateDirectory) -> None:
    """Render, plan and run an overlay until a signal.

    Raises:
        LocalError, SettingsError: the overlay cannot be run.
    """
    root, overlay, device = project.root_of(Path.cwd()), asked.overlay, project.device_of(os.environ)
    webhook = os.environ.pop(
        ALERTS_VARIABLE, ""
    )  # before anything is started: it may be a secret, which no child needs
    cleaned, text = run_directory.clean(directory), render_text(overlay)
    options = project.options_of(root, directory, asked.port, asked.tls)
    planned = plan(rendered := documents(text, overlay), options)
    gateway = preflight.check(planned, overlay, os.environ)
    observers = project.observers_of(directory, {**os.environ, ALERTS_VARIABLE: webhook}) if asked.observe else None
    if observers:
        os.environ.update(observers.environment())  # this process has spans of its own
    _begin_logs(directory, asked, cleaned)
    shown = terminal.view() if asked.report is None else terminal.PlainView(lambda line: None)

    # Late: whatever is wrong with the overlay has been said by now, without the time that these imports take.
    from switchyard.local.supervisor.assembly import Settings

    settings = Settings(
        options=options,
        directory=directory,
        environ={**os.environ, **device.environment},
        device=device,
        overlay=overlay,
        documents=rendered,
        rendered=fingerprint(text),
        run_id=uuid.uuid4().hex,
        observers=observers,
        preloading=asked.preloading,
    )
    try:
        _run(planned, gateway, settings, _on_up(shown, planned, gateway, asked.report))
    finally:
        shown.end()


def _on_up(shown: terminal.View, planned: Plan, gateway: Deployment, report: int | None) -> OnUp:
    """Return what shows a run, and says once that it is up or why it is not, on ``report`` too."""

    def on_up(run: Run, board: StatusBoard) -> None:
        shown.begin(run, board)

        def announce(problem: str) -> None:
            models = [service.model for service in planned.services]
            states = {name: entry.state for name, entry in board.entries.items()}
            shown.say(problem or terminal.next_steps(run, models, states))
            if report is not None:
                os.write(report, problem.encode())
                os.close(report)

        board.listen(Announcer(gateway.name, announce))

    return on_up


def _begin_logs(directory: StateDirectory, asked: UpOptions, cleaned: int) -> None:
    directory.begin_logs()
    _log_to(directory.log("supervisor"), outputs=asked.report is not None)
    if cleaned:
        logging.getLogger(__name__).warning("ended %d processes left over from a killed run", cleaned)


def _run(planned: Plan, gateway: Deployment, settings: "Settings", on_up: OnUp) -> None:
    import uvloop

    from switchyard.local.supervisor.supervise import Supervisor

    async def main() -> None:
        supervisor = Supervisor(planned, gateway, settings)
        settle_for_serving()
        await supervisor.run(on_up)

    uvloop.run(main())


def _log_to(path: Path, *, outputs: bool) -> None:
    """Send logs to ``path``, and with ``outputs`` whatever else this process prints, which went to the last run's."""
    if outputs:
        with path.open("ab") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
    logs.configure("local", log_level(os.environ), path)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m switchyard.local", description=__doc__)
    parser.add_argument("overlay", type=Path)
    parser.add_argument("--port", type=int, help="port of the gateway, in place of the overlay's")
    parser.add_argument("--tls", type=Path, nargs=2, metavar=("CERT", "KEY"), help="the gateway's, PEM")
    parser.add_argument("--no-preload", action="store_true", help=f"as {PRELOAD}=0")
    parser.add_argument("--observe", action="store_true", help="run what observes the platform too")
    parser.add_argument("--report", type=int, help="file descriptor to which the outcome of the start is written")
    options = parser.parse_args()
    if options.report is not None:
        os.set_inheritable(options.report, False)  # the reader waits for its end, so no child may inherit it
    directory = project.directory_of(project.root_of(Path.cwd()))
    asked = UpOptions(
        overlay=options.overlay.resolve(),
        port=options.port,
        tls=tuple(options.tls) if options.tls else None,
        preloading=not options.no_preload and os.environ.get(PRELOAD, "1") != "0",
        observe=options.observe,
        report=options.report,
    )
    try:
        with directory.lock():
            supervise(asked, directory)
    except (LocalError, SettingsError) as err:
        if options.report is not None:
            os.write(options.report, str(err).encode())
            sys.exit(1)  # what is printed would be in the log of the run that this one met
        sys.exit(f"error: {err}")


if __name__ == "__main__":
    main()
