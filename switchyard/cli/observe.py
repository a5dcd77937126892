"""The commands that read what observes a run: ``trace``, and ``status --slo``."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from switchyard.cli.table import table
from switchyard.cli.terminal import say

if TYPE_CHECKING:
    from switchyard.local.status.run_directory import Run


def trace(
    wanted: Annotated[str, typer.Argument(metavar="REQUEST_OR_TRACE", help="An x-request-id, or the id of a trace.")],
    attributes: Annotated[bool, typer.Option("--attributes", "-a", help="The spans' attributes too.")] = False,
) -> None:
    """Print the trace of a request as a tree: when each step began, and how long it took."""
    from switchyard.cli.local import errors_as_messages
    from switchyard.local.observability import queries, traces
    from switchyard.local.supervisor import commands

    with errors_as_messages():
        jaeger = queries.url_of(commands.run_here(), "jaeger")
        trace_id, roots = traces.find(jaeger, wanted)
    say([f"trace {trace_id}", *traces.lines(roots, attributes=attributes)])


def print_slos(run: "Run", *, as_json: bool) -> None:
    """Print the state of each objective, and the alerts.

    Raises:
        LocalError: nothing observes ``run``, or its Prometheus does not respond.
    """
    from switchyard.local.observability import queries, slos

    report = slos.read(queries.url_of(run, "prometheus"))
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2))
        return
    say(table(slos.rows(report)) if report.objectives else ["no request was counted yet"])
    say(slos.missing(report) + (slos.sentences(report) or ["no alert is pending or firing"]))
