"""The commands of local mode: up, down, status, logs, render."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from switchyard.cli.observe import print_slos
from switchyard.cli.terminal import say
from switchyard.local.program import ALERTS_VARIABLE, LISTEN_VARIABLE, PORT_VARIABLE

_OVERLAY = "Folder with a kustomization; default kustomize/overlays/local, or local-gpu where a GPU can be used."
Overlay = Annotated[Path | None, typer.Argument(help=_OVERLAY)]
Port = Annotated[
    int | None,
    typer.Option(envvar=PORT_VARIABLE, min=1, max=65535, help="Port of the gateway, in place of the overlay's."),
]
Listen = Annotated[
    str | None,
    typer.Option(envvar=LISTEN_VARIABLE, help="Address of this machine to serve others by; needs tenants and keys."),
]
TlsCert = Annotated[
    Path | None, typer.Option(help="PEM of the certificate by which the gateway serves, with its chain.")
]
TlsKey = Annotated[Path | None, typer.Option(help="PEM of its key.")]
_OBSERVE = "Run Prometheus, Alertmanager, an OpenTelemetry Collector and Jaeger beside it."
Observe = Annotated[bool, typer.Option("--observe", help=_OBSERVE)]
AlertsTo = Annotated[
    str | None, typer.Option(envvar=ALERTS_VARIABLE, help="Webhook that alerts go to, with --observe; default none.")
]
NoPreload = Annotated[bool, typer.Option("--no-preload", help="Start every model as a separate process.")]


@contextmanager
def errors_as_messages() -> Iterator[None]:
    """Print errors that are meant for a person, and exit with code 1."""
    from switchyard.local.errors import LocalError

    try:
        yield
    except LocalError as err:
        say(f"error: {err}".split("\n"), err=True)
        raise typer.Exit(1) from err


def up(
    overlay: Overlay = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return once the gateway is ready.")] = False,
    port: Port = None,
    listen: Listen = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    no_preload: NoPreload = False,
    observe: Observe = False,
    alerts_to: AlertsTo = None,
) -> None:
    """Run an overlay on this machine: gateway, activator and models, which sleep until a request comes."""
    from switchyard.local.supervisor import commands, project

    if listen is not None:
        os.environ[LISTEN_VARIABLE] = listen  # which supervisor and gateway inherit
    if alerts_to is not None:
        os.environ[ALERTS_VARIABLE] = alerts_to
    with errors_as_messages():
        chosen = project.overlay_of(overlay, Path.cwd())
        tls = project.tls_of(tls_cert, tls_key, Path.cwd())
        wanted = commands.Wanted(overlay=chosen, port=port, tls=tls, preloading=not no_preload, observe=observe)
        if not detach:
            if taken := commands.take_edits(chosen):
                say(taken.split("\n"))
                return
            commands.up(wanted)
        say(commands.up_detached(wanted).split("\n"))


def down() -> None:
    """Stop what `up` started, and wait until every process has ended."""
    from switchyard.local.supervisor import commands, project

    with errors_as_messages():
        stopped = commands.down(project.directory_of(project.root_of(Path.cwd())))
    typer.echo("stopped" if stopped else "nothing was running")


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
    slo: Annotated[bool, typer.Option("--slo", help="The state of each objective instead, with --observe.")] = False,
) -> None:
    """Show the state of each process."""
    from switchyard.local.status import report
    from switchyard.local.supervisor import commands, graph_decisions, project

    if slo:
        with errors_as_messages():
            print_slos(commands.run_here(), as_json=as_json)
        return
    with errors_as_messages():
        run, rows = commands.status(project.directory_of(project.root_of(Path.cwd())))
    if as_json:
        typer.echo(report.as_json(run, rows))
        return
    typer.echo(f"{run.overlay}\ngateway {run.gateway}, supervisor {run.control} (process {run.supervisor.pid})")
    typer.echo(run.device)
    if run.observers:
        typer.echo(", ".join(f"{name} {url}" for name, url in run.observers.items()))
    typer.echo("\n".join(report.lines(rows, report.width())))
    for name, row in rows.items():
        if "decisions" in row:
            say([f"{name}: {graph_decisions.sentence(row['decisions'])}"])


def logs(
    name: Annotated[
        str | None, typer.Argument(help="A service, gateway, preload or supervisor; without it, all by time.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing as the log grows.")] = False,
    request: Annotated[str, typer.Option(help="Only lines with this x-request-id.")] = "",
    trace: Annotated[str, typer.Option(help="Only lines with this trace id.")] = "",
    tenant: Annotated[str, typer.Option(help="Only lines of this tenant's requests.")] = "",
    earlier: Annotated[
        bool, typer.Option("--all", help="Logs of earlier runs of `up` too, the earliest first.")
    ] = False,
) -> None:
    """Print what the processes of the last run said, or one of them."""
    from switchyard.local.status import logs
    from switchyard.local.supervisor import commands, project

    directory, printed = project.directory_of(project.root_of(Path.cwd())), False
    wanted = logs.Wanted(request=request, trace=trace, tenant=tenant)
    with errors_as_messages():
        read = partial(logs.lines, directory, name, process_of=partial(commands.process_of, directory))
        for line in read(earlier=earlier, follow=follow, wanted=wanted):
            sys.stdout.buffer.write(line)
            printed = True
            if follow:
                sys.stdout.buffer.flush()
        if wanted and not printed:
            raise logs.none_found(wanted, earlier=earlier)
    if not printed:
        typer.echo("nothing was written yet", err=True)


def render(overlay: Overlay = None) -> None:
    """Print the documents of an overlay, as a cluster would get them, if every name in them leads to an object."""
    from switchyard.local.plan import references
    from switchyard.local.plan.render import documents, render_text
    from switchyard.local.supervisor import project

    with errors_as_messages():
        folder = project.overlay_of(overlay, Path.cwd())
        text = render_text(folder)
        references.require_none(references.dangling(documents(text, folder)))
        typer.echo(text, nl=False)
