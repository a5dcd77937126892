"""The ``switchyard`` command; every import that costs time happens in the command that needs it."""

import sys

import typer

from switchyard.cli import tiers as route_commands
from switchyard.cli.graphs import graph

app = typer.Typer(
    help="Serve language and vision models: on this machine with `up`, in a cluster with kustomize overlays.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich would be imported for --help alone
)

app.add_typer(graph, name="graph")
app.add_typer(route_commands.app, name="route")


def main() -> None:
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
