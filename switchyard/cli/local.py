"""The commands of local mode: up, down, status, logs, render."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from switchyard.local.program import PORT_VARIABLE

Overlay = Annotated[Path | None, typer.Argument(help="Folder with a kustomization; default kustomize/overlays/local.")]
Port = Annotated[
    int | None,
    typer.Option(envvar=PORT_VARIABLE, min=1, max=65535, help="Port of the gateway, in place of the overlay's."),
]
NoPreload = Annotated[bool, typer.Option("--no-preload", help="Start every model as a separate process.")]


@contextmanager
def _errors_as_messages() -> Iterator[None]:
    """Print errors that are meant for a person, and exit with code 1."""
    from switchyard.local.errors import LocalError

    try:
        yield
    except LocalError as err:
        typer.echo(f"error: {err}", err=True)
        raise typer.Exit(1) from err


def up(
    overlay: Overlay = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return once the gateway is ready.")] = False,
    port: Port = None,
    no_preload: NoPreload = False,
) -> None:
    """Run an overlay on this machine: gateway, activator and models, which sleep until a request comes."""
    from switchyard.local.supervisor import commands, project

    with _errors_as_messages():
        chosen = project.overlay_of(overlay, Path.cwd())
        if not detach:
            commands.up(chosen, port=port, preloading=not no_preload)
        typer.echo(commands.up_detached(chosen, port=port, preloading=not no_preload))


def down() -> None:
    """Stop what `up` started, and wait until every process has ended."""
    from switchyard.local.supervisor import commands, project

    with _errors_as_messages():
        stopped = commands.down(project.directory_of(project.root_of(Path.cwd())))
    typer.echo("stopped" if stopped else "nothing was running")


def status() -> None:
    """Show the state of each process."""
    from rich.console import Console
    from rich.table import Table

    from switchyard.local.supervisor import commands, graph_decisions, project

    with _errors_as_messages():
        run, rows = commands.status(project.directory_of(project.root_of(Path.cwd())))
    table = Table("service", "state", "for", "process", "starts", "held", "in flight", box=None, pad_edge=False)
    table.add_column("last start", overflow="fold", ratio=1)
    for name, row in rows.items():
        phases = ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in row["phases"].items())
        table.add_row(
            name,
            row["state"],
            f"{row['seconds']:.0f} s",
            str(row["pid"] or ""),
            str(row["starts"]),
            str(row.get("held", "")),
            str(row.get("in_flight", "")),
            row["reason"] or phases,
        )
    console = Console()
    place = f"{run.overlay}\ngateway {run.gateway}, supervisor {run.control} (process {run.supervisor.pid})"
    console.print(place, soft_wrap=True, highlight=False)
    console.print(table)
    for name, row in rows.items():
        if "decisions" in row:
            console.print(f"{name}: {graph_decisions.sentence(row['decisions'])}", soft_wrap=True, highlight=False)


def logs(
    name: Annotated[str, typer.Argument(help="A service, `gateway`, `preload` or `supervisor`.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing as the log grows.")] = False,
) -> None:
    """Print the log of a process."""
    from switchyard.local.supervisor import commands, project

    with _errors_as_messages():
        for data in commands.log_lines(project.directory_of(project.root_of(Path.cwd())), name, follow=follow):
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()


def render(overlay: Overlay = None) -> None:
    """Print the documents of an overlay, as a cluster would get them, if every name in them leads to an object."""
    from switchyard.local.plan import references
    from switchyard.local.plan.render import documents, render_text
    from switchyard.local.supervisor import project

    with _errors_as_messages():
        folder = project.overlay_of(overlay, Path.cwd())
        text = render_text(folder)
        references.require_none(references.dangling(documents(text, folder)))
        typer.echo(text, nl=False)
