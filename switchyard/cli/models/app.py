"""The commands of ``switchyard model``; slow imports happen in the command that needs them."""

import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from switchyard.cli.gateway import GatewayError, Url, request
from switchyard.cli.terminal import say
from switchyard.repository.names import visible

if TYPE_CHECKING:
    from switchyard.cli.models.folders import Folders
    from switchyard.repository.verdict import Facts, Group

app = typer.Typer(
    help="Models: bring one, say what is wrong with it, take it out.", no_args_is_help=True, rich_markup_mode=None
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A model's name, or its group and name where two have it.")]
Called = Annotated[str, typer.Option(help="How it is to be called; without it, as the folder or file is.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Cluster = Annotated[
    str,
    typer.Option(
        "--url",
        envvar="SWITCHYARD_URL",
        help="Ask this gateway, with the key in SWITCHYARD_KEY. Without it: the folders of this project.",
        show_default=False,
    ),
]
_LOAD_SECONDS = 150.0  # a predictor gives up a load after MODEL_LOAD_SECONDS, 120 as it is shipped
_REMOVED_SECONDS = 10.0


@contextmanager
def _errors_as_messages(*, as_json: bool) -> Iterator[None]:
    """Print errors that are meant for a person, or as JSON for programs, and exit with code 1."""
    from switchyard.cli.models.errors import ModelError
    from switchyard.devices.choice import DeviceError
    from switchyard.repository.judging import JudgeError
    from switchyard.repository.sources import SourceError
    from switchyard.settings import SettingsError

    try:
        yield
    except (ModelError, SourceError, JudgeError, DeviceError, SettingsError, GatewayError, OSError) as err:
        told = str(err)
        if isinstance(err, OSError) and err.filename:
            told = f"{os.fsdecode(err.filename)}: {err.strerror}"
        say([f"error: {told}"], err=True)
        if as_json:
            typer.echo(_json({"error": told}))
        raise typer.Exit(1) from err


@app.command()
def check(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A folder, or a file *.onnx.")],
    name: Called = "",
    as_json: Json = False,
) -> None:
    """Say whether a model could be served, and what is wrong with it; nothing needs to run."""
    from switchyard.cli.models import output
    from switchyard.cli.models.folders import Folders
    from switchyard.cli.models.judging import judge_place

    with _errors_as_messages(as_json=as_json):
        verdict = judge_place(Folders.here(must_exist=False), path, name)
    _tell(asdict(verdict), output.verdict_lines(verdict), as_json=as_json)
    raise typer.Exit(1 if verdict.faults else 0)


@app.command()
def add(
    place: Annotated[
        str, typer.Argument(metavar="PATH|URI", help="A folder, a file *.onnx, or hf://, s3://, gs://, oci://.")
    ],
    name: Called = "",
    replace: Annotated[bool, typer.Option("--replace", help="Put it in the place of the model of this name.")] = False,
    write: Annotated[
        bool, typer.Option("--write", help="Write the InferenceService of a language model to manifests/services/.")
    ] = False,
    wait: Annotated[
        float, typer.Option(min=0, max=3600, help="How many seconds to wait for the platform that runs here.")
    ] = 120,
    as_json: Json = False,
) -> None:
    """Copy or download a model into the repository, if it can be served, and say how it is called."""
    from switchyard.cli.models import adding
    from switchyard.cli.models.folders import Folders
    from switchyard.cli.models.manifests import write_service
    from switchyard.cli.models.outcome import Outcome, outcome
    from switchyard.cli.models.waiting import Before

    began, seconds = time.monotonic(), 0.0
    with _errors_as_messages(as_json=as_json):
        folders = Folders.here()
        before = Before.of(folders)
        try:
            verdict = adding.add(folders, adding.Wish(place=place, name=name, replace=replace, write=write))
        except adding.RejectedError as err:
            end = Outcome(verdict=err.verdict)
        else:
            seconds = time.monotonic() - began
            assert verdict.facts is not None
            written = str(write_service(folders.root, verdict.name, verdict.facts)) if write else ""
            end = outcome(
                folders,
                verdict,
                before=before,
                seconds=wait,
                written=written,
                on_waking=lambda reason: say([f"{verdict.name}: waking: {reason}"], err=True),
            )
    _tell(end.row(), end.lines(seconds), as_json=as_json)
    raise typer.Exit(1 if end.failed else 0)


@app.command(name="list")
def list_models(url: Cluster = "", as_json: Json = False) -> None:
    """Print the models of this project's folders, or of a gateway, and what is wrong with them."""
    from switchyard.cli.models import output
    from switchyard.cli.models.folders import Folders
    from switchyard.cli.models.waiting import joined, served
    from switchyard.cli.table import table

    with _errors_as_messages(as_json=as_json):
        if url:
            cards = request(url, "GET", "/v1/models", anonymous=True)["data"]
            rows, header = [output.card_row(card) for card in cards], output.CARD_HEADER
        else:
            folders = Folders.here()
            models = joined(folders.models(), served(folders))
            cards = [model.row() for model in models]
            rows, header = [output.model_row(model) for model in models], output.HEADER
    _tell(cards, table([header, *rows]), as_json=as_json)


@app.command()
def show(name: Name, url: Cluster = "", as_json: Json = False) -> None:
    """Print all that is known of a model: its state and why, size, versions, license, source, times, memory."""
    from switchyard.cli.models import output
    from switchyard.cli.models.folders import Folders
    from switchyard.cli.models.waiting import joined, served

    with _errors_as_messages(as_json=as_json):
        if url:
            card = request(url, "GET", f"/v1/models/{quote(name, safe='')}", anonymous=True)
            _tell(card, output.card_lines(card), as_json=as_json)
            return
        folders = Folders.here()
        [model] = joined([folders.model(name)], served(folders))
    _tell(model.row(), output.model_lines(model), as_json=as_json)


@app.command()
def remove(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Delete a model's folder; the platform that runs here lets go of it."""
    from switchyard.cli.models.folders import Folders
    from switchyard.cli.models.manifests import remove_service
    from switchyard.cli.models.waiting import gone

    with _errors_as_messages(as_json=as_json):
        folders = Folders.here()
        group, folder = folders.require(name)
        name, callers = folder.name, folders.callers(group, folder.name)
        if not yes:
            called = f" {', '.join(callers)} would fail without it." if callers else ""
            _confirm(f"Delete {folder.relative_to(folders.root)}?{called}")
        facts = _facts_of(folders, group, name, folder)
        folders.remove(folder)
        service = remove_service(folders.root, name, facts) if group == "llm" else ""
        unserved = folders.run() is None or gone(folders, group, name, _REMOVED_SECONDS)
    end = "removed" if unserved else "removed, and the platform has yet to let go of it"
    row = {"group": group, "name": name, "unserved": unserved, "callers": callers, "service": service}
    called = f"; what calls it fails until it is back: {', '.join(callers)}" if callers else ""
    lines = [f"{name}: {end}{called}", *([f"{name}: {service}"] if service else [])]
    _tell(row, lines, as_json=as_json)


def _facts_of(folders: "Folders", group: "Group", name: str, folder: Path) -> "Facts | None":
    """Return what is known of a language model whose service may have to go with it."""
    from switchyard.cli.models.judging import judge
    from switchyard.cli.models.waiting import status_of
    from switchyard.repository.judging import JudgeError

    if group != "llm" or not (folders.root / "manifests" / "services" / name).is_dir():
        return None
    if (status := status_of(folders, group, name)) is not None and status.facts is not None:
        return status.facts
    with suppress(JudgeError):
        return judge(folders, folder, group, name).facts
    return None


@app.command()
def load(name: Name, url: Url = "", as_json: Json = False) -> None:
    """Have a gateway load a model before somebody asks for it."""
    _ask_repository(url, name, "load", as_json=as_json)


@app.command()
def unload(name: Name, url: Url = "", as_json: Json = False) -> None:
    """Have a gateway unload a model, which the next request loads again."""
    _ask_repository(url, name, "unload", as_json=as_json)


def _ask_repository(url: str, name: str, what: str, *, as_json: bool) -> None:
    path = f"/v2/repository/models/{quote(name, safe='')}/{what}"
    began = time.monotonic()
    with _errors_as_messages(as_json=as_json):
        request(url, "POST", path, anonymous=True, seconds=_LOAD_SECONDS)
    seconds = time.monotonic() - began
    row = {"name": name, f"{what}ed": True, "seconds": round(seconds, 3)}
    _tell(row, [f"{name}: {what}ed in {seconds:.1f} s"], as_json=as_json)


def _confirm(question: str) -> None:
    """Exit with code 1 unless somebody says yes."""
    try:
        if typer.confirm(visible(question), err=True):
            return
    except typer.Abort:  # the input ended, on the line of the question
        typer.echo(err=True)
    typer.echo("nothing was removed; --yes does not ask", err=True)
    raise typer.Exit(1)


def _tell(value: Any, lines: Iterable[str], *, as_json: bool) -> None:
    """Print ``value`` for programs, in ASCII, or ``lines`` for people."""
    if as_json:
        typer.echo(_json(value))
    else:
        say(lines)


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, default=str)
