"""``switchyard cache``: what a running gateway's cache of responses holds, and to forget it."""

import json
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

import typer

from switchyard.cli.gateway import Url, ask
from switchyard.cli.table import table

app = typer.Typer(help="The cache of responses.", no_args_is_help=True, rich_markup_mode=None)
_ROUTE = "/v1/organization/cache"
_MEGABYTE = 1_000_000
Json = Annotated[bool, typer.Option("--json", help="Print what the gateway responds.")]


@app.command()
def stats(url: Url = "", as_json: Json = False) -> None:
    """Print what each tenant's cache holds, and what this gateway's requests got of it since it started."""
    response = ask(url, "GET", _ROUTE)
    if as_json:
        typer.echo(json.dumps(response, indent=1))
        return
    rows = [("OF", "RESPONSES", "EMBEDDINGS", "MB", "OF AT MOST", "KEPT FOR")]
    rows += [_row(scope) for scope in response["data"]]
    typer.echo("\n".join(table(rows)))
    requests = response["requests"]
    typer.echo(", ".join(f"{count} {result}" for result, count in requests.items()))


@app.command()
def clear(
    tenant: Annotated[str, typer.Option(help="Of this tenant and those who share with it alone.")] = "", url: Url = ""
) -> None:
    """Forget cached responses, of all tenants or of one."""
    query = f"?project_ids={quote(tenant, safe='')}" if tenant else ""
    response = ask(url, "DELETE", _ROUTE + query)
    typer.echo(f"{response['deleted']} responses and embeddings are forgotten, of {len(response['scopes'])} caches")


def _row(scope: Mapping[str, Any]) -> tuple[str, str, str, str, str, str]:
    held = scope["response_bytes"] + scope["embedding_bytes"]
    most = f"{2 * scope['most_bytes'] / _MEGABYTE:.0f}"
    counts = str(scope["responses"]), str(scope["embeddings"]), f"{held / _MEGABYTE:.1f}"
    return ",".join(scope["tenants"]) or "all", *counts, most, f"{scope['seconds']} s"
