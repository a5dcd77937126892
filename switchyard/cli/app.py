"""The ``switchyard`` command; slow imports happen in the subcommand that needs them."""

import sys

import typer

from switchyard.cli import cache, graphs, keys, local, observe, tiers, usage
from switchyard.cli.batches.app import app as batches
from switchyard.cli.models.app import app as models

app = typer.Typer(
    help="Serve language and vision models: on this machine with `up`, in a cluster with kustomize overlays.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich would be imported for --help alone
)

for command in (local.up, local.down, local.status, local.logs, observe.trace, local.render):
    app.command()(command)
app.add_typer(models, name="model")
app.add_typer(graphs.app, name="graph")
app.add_typer(tiers.app, name="route")
app.add_typer(keys.app, name="key")
app.add_typer(usage.app, name="usage")
app.add_typer(cache.app, name="cache")
app.add_typer(batches, name="batch")


def main() -> None:
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
