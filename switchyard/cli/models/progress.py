"""Shows how far a download is: as a bar where a person looks at it, else in lines for a log."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

OnProgress = Callable[[int, int], None]

LINE_SECONDS = 10.0  # often enough to see that it goes on, 360 lines an hour


@contextmanager
def progress(title: str, *, clock: Callable[[], float] = time.monotonic) -> Iterator[OnProgress]:
    """Yield a function that is told the bytes that are there and all bytes; it prints to stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TransferSpeedColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(title, clock)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines(title: str, clock: Callable[[], float]) -> OnProgress:
    begun = said = clock()

    def on_progress(done: int, total: int) -> None:
        nonlocal said
        now = clock()
        if now - said >= LINE_SECONDS:
            said = now
            line = f"{title}: {done / 1e6:.1f} of {total / 1e6:.1f} MB after {now - begun:.0f} s"
            print(line, file=sys.stderr, flush=True)

    return on_progress
