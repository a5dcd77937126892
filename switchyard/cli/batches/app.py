"""``switchyard batch``: submit a file of requests, see how far it is, fetch what came of it."""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from switchyard.cli.gateway import GatewayError, Url, ask
from switchyard.cli.table import table
from switchyard.cli.terminal import say

app = typer.Typer(
    help="Many requests in a file, done behind those that clients wait for; the key is in SWITCHYARD_KEY.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_ROUTE = "/v1/batches"
_ACTIVE = ("validating", "in_progress", "finalizing", "cancelling")
_LOOK_SECONDS = 1.0
_PAGE = 20

Id = Annotated[str, typer.Argument(metavar="ID", help="The batch, such as batch_9c1e….")]
Json = Annotated[bool, typer.Option("--json", help="Print what the gateway responds.")]
Wait = Annotated[bool, typer.Option("--wait", help="Show how far it is until it has ended.")]


@app.command()
def submit(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="JSON lines, a request in each.")],
    endpoint: Annotated[str, typer.Option(help="The path of its requests; that of the first line, if absent.")] = "",
    window: Annotated[str, typer.Option(help="After this what is not done has an error, as 24h or 90m.")] = "24h",
    wait: Wait = False,
    url: Url = "",
) -> None:
    """Send a file, and print the id of the batch that runs its requests."""
    from switchyard.cli.batches.transfer import send

    path = endpoint or _endpoint(file)
    try:
        file_id = send(url, file)
    except (GatewayError, OSError) as err:
        raise _fail(str(err)) from err
    fields = {"input_file_id": file_id, "endpoint": path, "completion_window": window}
    batch = ask(url, "POST", _ROUTE, fields, anonymous=True)
    typer.echo(batch["id"])
    if wait:
        _finish(_waited(url, batch))


@app.command()
def status(
    batch_id: Annotated[str, typer.Argument(metavar="[ID]", help="A batch; the newest ones, if absent.")] = "",
    wait: Wait = False,
    url: Url = "",
    as_json: Json = False,
) -> None:
    """Print how far a batch is, or each of the newest ones."""
    if not batch_id:
        listed = ask(url, "GET", f"{_ROUTE}?limit={_PAGE}", anonymous=True)["data"]
        if as_json:
            typer.echo(json.dumps(listed, indent=2))
        else:
            head = ("ID", "STATUS", "DONE", "FAILED", "OF", "ENDPOINT", "CREATED")
            say(table([head, *map(_row, listed)]))
        return
    batch = _get(url, batch_id)
    if wait:
        batch = _waited(url, batch)
    if as_json:
        typer.echo(json.dumps(batch, indent=2))
    else:
        _print(batch)
    if wait:
        _finish(batch)


@app.command()
def results(
    batch_id: Id,
    to: Annotated[Path | None, typer.Option(help="A file for the responses; stdout, if absent.")] = None,
    errors: Annotated[Path | None, typer.Option(help="A file for the requests that failed.")] = None,
    url: Url = "",
) -> None:
    """Fetch the responses of a batch that has ended, a line of JSON for each."""
    batch = _get(url, batch_id)
    if batch["status"] in _ACTIVE:
        raise _fail(f"the batch is {batch['status']}; `switchyard batch status {batch_id} --wait` waits for it")
    counts = batch["request_counts"]
    _fetch(url, batch["output_file_id"], to)
    if errors is not None:
        _fetch(url, batch["error_file_id"], errors)
    elif counts["failed"]:
        say([f"{counts['failed']} of {counts['total']} requests failed: --errors writes them to a file"], err=True)


@app.command()
def cancel(batch_id: Id, url: Url = "") -> None:
    """End a batch; what is done is kept."""
    _print(ask(url, "POST", f"{_ROUTE}/{quote(batch_id, safe='')}/cancel", anonymous=True))


def _endpoint(file: Path) -> str:
    with file.open("rb") as lines:
        text = lines.readline(4 * 1024 * 1024)
    try:
        url = json.loads(text)["url"]
    except (ValueError, KeyError, TypeError):
        url = None
    if not isinstance(url, str):
        raise _fail(f"the first line of {file} is no request with a url; --endpoint names it")
    return url


def _get(url: str, batch_id: str) -> Any:
    return ask(url, "GET", f"{_ROUTE}/{quote(batch_id, safe='')}", anonymous=True)


def _waited(url: str, batch: Any) -> Any:
    with _progress() as show:
        while batch["status"] in _ACTIVE:
            show(batch)
            time.sleep(_LOOK_SECONDS)
            batch = _get(url, batch["id"])
        show(batch)
    return batch


class _Show:
    """Shows a batch as a bar where a person looks at it, else as a line whenever something is new."""

    def __init__(self, bar: Any = None, task: Any = None) -> None:
        self._bar, self._task, self._last = bar, task, ""

    def __call__(self, batch: Any) -> None:
        counts = batch["request_counts"]
        done = counts["completed"] + counts["failed"]
        if self._bar is not None:
            self._bar.update(self._task, description=batch["status"], completed=done, total=counts["total"] or None)
            return
        line = f"{batch['status']}: {done} of {counts['total']} done, {counts['failed']} failed"
        if line != self._last:
            self._last = line
            print(line, file=sys.stderr, flush=True)


@contextmanager
def _progress() -> Iterator[_Show]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Show()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        yield _Show(bar, bar.add_task("validating", total=None))


def _row(batch: Mapping[str, Any]) -> tuple[str, ...]:
    counts = batch["request_counts"]
    numbers = (str(counts["completed"] + counts["failed"]), str(counts["failed"]), str(counts["total"]))
    created = datetime.fromtimestamp(batch["created_at"], UTC)
    return batch["id"], batch["status"], *numbers, batch["endpoint"], f"{created:%Y-%m-%d %H:%M}"


def _print(batch: Mapping[str, Any]) -> None:
    counts = batch["request_counts"]
    done = counts["completed"] + counts["failed"]
    say([f"{batch['id']} is {batch['status']}: {done} of {counts['total']} done, {counts['failed']} failed"])
    for error in (batch["errors"] or {"data": []})["data"]:
        line = f"line {error['line']}: " if error["line"] else ""
        say([f"  {line}{error['message']}"])


def _finish(batch: Mapping[str, Any]) -> None:
    """Exit with 1 unless the batch was completed."""
    if batch["status"] != "completed":
        raise typer.Exit(1)


def _fetch(url: str, file_id: str | None, to: Path | None) -> None:
    from switchyard.cli.batches.transfer import fetch

    try:
        if to is None:
            if file_id is not None:
                fetch(url, file_id, sys.stdout.buffer)
            return
        with to.open("wb") as file:  # empty where there is nothing: a program that reads it finds it
            if file_id is not None:
                fetch(url, file_id, file)
    except (GatewayError, OSError) as err:
        raise _fail(str(err)) from err


def _fail(message: str) -> typer.Exit:
    say([f"error: {message}"], err=True)
    return typer.Exit(1)
