"""What the person who started local mode sees: a live table on a terminal, plain lines elsewhere."""

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

from switchyard.catalog import Model
from switchyard.local.processes.preload import NAME as PRELOAD
from switchyard.local.program import program
from switchyard.local.status.board import ProcessState, ProcessStatus, StatusBoard
from switchyard.local.status.run_directory import Run
from switchyard.repository.names import visible
from switchyard.telemetry.metrics.families import Phase

if TYPE_CHECKING:
    from rich.table import Table

_PHASES: tuple[Phase, ...] = ("preload", "spawn", "import", "load", "warm-up", "ready")
_TICK_SECONDS = 0.25
_STYLES: Mapping[ProcessState, str] = {
    "ready": "green",
    "waking": "yellow",
    "draining": "yellow",
    "failed": "red",
    "asleep": "dim",
}


class View(Protocol):
    """Shows a run; a ``board.Listener`` with a beginning and an end."""

    def begin(self, run: Run, board: StatusBoard) -> None:
        """Show ``board`` from now on."""

    def say(self, text: str) -> None:
        """Show a text."""

    def end(self) -> None:
        """Restore the terminal."""

    def changed(self, name: str, entry: ProcessStatus) -> None: ...

    def phase(self, name: str, phase: Phase, seconds: float) -> None: ...


def view() -> View:
    """Return the view that fits this process's output."""
    return TableView() if sys.stdout.isatty() else PlainView(_print)


def _print(line: str) -> None:
    with contextlib.suppress(OSError):  # the reader is gone; the run goes on without it
        print(line, flush=True)


def _lines(text: str) -> str:
    return "\n".join(map(visible, text.split("\n")))


def steps(entry: ProcessStatus, now: float) -> str:
    """Describe the phases of a start; the one in progress ends in dots."""
    done = [f"{phase} {entry.phases[phase]:.1f} s" for phase in _PHASES if phase in entry.phases]
    if entry.state == "waking":
        following = _PHASES[min(max(map(_PHASES.index, entry.phases), default=0) + 1, len(_PHASES) - 1)]
        if entry.reason:  # it waits
            following = "preload"
        left = now - entry.since - sum(entry.phases.values())
        done.append(f"{following} {max(left, 0.0):.1f} s …")
    return ", ".join(done)


def next_steps(run: Run, models: Iterable[Model], states: Mapping[str, str]) -> str:
    """Suggest what to try once the gateway is ready; ``states`` are those of all processes."""
    # Requests for one that is being checked at a first start wait for it.
    usable = [
        model for model in models if model.state.phase != "failed" and (model.url or model.state.phase != "pending")
    ]
    base, by_kind = run.gateway, {model.kind: model.name for model in reversed(usable)}
    json = "-H 'content-type: application/json'"
    # Nobody is on the way within this machine, and the certificate is for the names by which others reach it.
    curl = "curl -k" if base.startswith("https:") else "curl"
    if run.asks_for_keys:
        curl += ' -H "authorization: Bearer $SWITCHYARD_KEY"'
    asked = ", which asks for a key of yours, in SWITCHYARD_KEY here" if run.asks_for_keys else ""
    lines = [f"Serving at {base}{asked}. Try:", f"  {curl} {base}/v1/models"]
    if name := by_kind.get("llm"):
        body = f'{{"model": "{name}", "stream": true, "messages": [{{"role": "user", "content": "Hello"}}]}}'
        lines.append(f"  {curl} -N {base}/v1/chat/completions {json} -d '{body}'")
    if name := by_kind.get("embedding"):
        lines.append(f'  {curl} {base}/v1/embeddings {json} -d \'{{"model": "{name}", "input": "Hello"}}\'')
    if run.observers:
        lines += [
            "It is observed by, and sends its spans to:",
            *(f"  {name:<13}{url}" for name, url in run.observers.items()),
        ]
    own = program()
    if "jaeger" in run.observers:
        lines.append(f"  {own} trace ID    prints a trace: at Jaeger's address is its API, and no page")
    if states.get(PRELOAD) == "waking":
        lines += [
            "The first request waits until imports that models share are done, for half a minute on an idle machine:",
            f"  {own} status    shows them as `{PRELOAD}`",
        ]
    device = [f"{run.device[0].upper()}{run.device[1:]}."] if run.device else []
    add = f"  {own} model add PATH    brings a model of yours: a folder, a file *.onnx or hf://…"
    return "\n".join([*lines, *device, add, f"  {own} status | {own} logs -f NAME | {own} down"])


class PlainView:
    """Prints one line per change."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._last: dict[str, tuple[str, str]] = {}

    def begin(self, run: Run, board: StatusBoard) -> None:
        board.listen(self)

    def say(self, text: str) -> None:
        self._write(_lines(text))

    def end(self) -> None:
        return

    def changed(self, name: str, entry: ProcessStatus) -> None:
        if self._last.get(name) == (entry.state, entry.reason):
            return
        self._last[name] = (entry.state, entry.reason)
        took = f" after {steps(entry, 0.0)}" if entry.state == "ready" and entry.phases else ""
        self._write(visible(f"{name}: {entry.state}{took}{f': {entry.reason}' if entry.reason else ''}"))

    def phase(self, name: str, phase: Phase, seconds: float) -> None:
        self._write(visible(f"{name}: {phase} {seconds:.2f} s"))


class TableView:
    """Draws a table at each change, and four times a second while something starts."""

    def __init__(self) -> None:
        from rich.live import Live

        self._live = Live(auto_refresh=False)
        self._board: StatusBoard | None = None
        self._tick: asyncio.TimerHandle | None = None

    def begin(self, run: Run, board: StatusBoard) -> None:
        self._board = board
        board.listen(self)
        self._live.start()
        self._draw()

    def say(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._live.console.print(_lines(text), highlight=False, soft_wrap=True, markup=False)

    def end(self) -> None:
        if self._tick is not None:
            self._tick.cancel()
        with contextlib.suppress(OSError):
            self._live.stop()

    def changed(self, name: str, entry: ProcessStatus) -> None:
        self._draw()

    def phase(self, name: str, phase: Phase, seconds: float) -> None:
        self._draw()

    def _draw(self) -> None:
        if self._board is None:
            return
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):  # the terminal is gone
            self._live.update(table(self._board, loop.time()), refresh=True)
        if self._tick is not None:
            self._tick.cancel()
        # Only the elapsed time of a waking service changes without an event.
        moving = any(entry.state == "waking" for entry in self._board.entries.values())
        self._tick = loop.call_later(_TICK_SECONDS, self._draw) if moving else None


def table(board: StatusBoard, now: float) -> "Table":
    """Render the board as a table."""
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, pad_edge=False)
    drawn.add_column("service", no_wrap=True, min_width=max(map(len, ("service", *board.entries))))
    drawn.add_column("state", no_wrap=True, min_width=max(map(len, _STYLES)))
    drawn.add_column("last start", overflow="fold")
    for name, entry in board.entries.items():
        state = Text(entry.state, style=_STYLES[entry.state])
        told = (steps(entry, now) if entry.state == "waking" else "", entry.reason)
        last = ": ".join(filter(None, told)) or steps(entry, now)
        drawn.add_row(Text(visible(name)), state, Text(visible(last)))
    return drawn
