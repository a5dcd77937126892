"""``switchyard key``: keys for the clients of a gateway, and a check of the file that knows them."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from switchyard.cli.gateway import Url, ask
from switchyard.cli.table import table
from switchyard.gateway.tenants.keys import NAME, create_key, digest

app = typer.Typer(help="API keys and the tenants who have them.", no_args_is_help=True, rich_markup_mode=None)


class Role(StrEnum):
    """What a key may do."""

    use = "use"
    admin = "admin"


def _key_id(text: str) -> str:
    if not re.fullmatch(NAME, text):
        raise typer.BadParameter(f"{text!r} is no key id: use lower case letters, digits and hyphens, at most 63")
    return text


Id = Annotated[str, typer.Argument(metavar="ID", callback=_key_id, help="The key's name in logs, such as acme-ci.")]
Json = Annotated[bool, typer.Option("--json", help="Print what the gateway responds.")]
_ROUTE = "/v1/organization/admin_api_keys"
_PAGE = 100


@app.command()
def create(
    key_id: Id,
    role: Annotated[list[Role], typer.Option(help="What it may do; may be given several times.")] = [Role.use],  # noqa: B006 - typer's way
    days: Annotated[int, typer.Option(min=0, help="How long it is valid; 0 for ever.")] = 365,
    tenant: Annotated[str, typer.Option(help="Make it at a running gateway, for this tenant.")] = "",
    team: Annotated[str, typer.Option(help="A team of the tenant.")] = "",
    name: Annotated[str, typer.Option(help="What people call it; the id, if absent.")] = "",
    url: Url = "",
    as_json: Json = False,
) -> None:
    """Print a new key, which nothing keeps: of a tenant at a running gateway, or with its entry for tenants.yaml.

    One at a gateway has the limits of its tenant and team; limits of its own are for keys of tenants.yaml.
    """
    if tenant:
        roles = list(dict.fromkeys(role))
        fields = {"id": key_id, "name": name or key_id, "tenant": tenant, "team": team, "roles": roles}
        ends = {"expires_in_seconds": days * 86400} if days else {}
        _show_new(ask(url, "POST", _ROUTE, {**fields, **ends}), as_json=as_json)
        return
    if team or name or as_json:
        raise typer.BadParameter("--team, --name and --json are for a key at a gateway, which --tenant asks for")
    key = create_key()
    lines = [f"- id: {key_id}", f'  sha256: "{digest(key.encode()).hex()}"', f"  roles: [{', '.join(role)}]"]
    if days:
        lines.append(f"  expires: {datetime.now(UTC) + timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}")
    typer.echo(key)
    typer.echo("This is shown once. Below `keys` of its tenant or team, tenants.yaml gets:", err=True)
    typer.echo("\n".join(lines))


@app.command(name="list")
def list_keys(url: Url = "", as_json: Json = False) -> None:
    """Print the keys of a running gateway: of its store, and of its tenants.yaml."""
    keys: list[Mapping[str, Any]] = []
    more, after = True, ""
    while more:
        page = ask(url, "GET", f"{_ROUTE}?limit={_PAGE}&after={quote(after)}")
        keys += page["data"]
        more, after = page["has_more"], page["last_id"] or ""
    if as_json:
        typer.echo(json.dumps(keys, indent=1))
        return
    rows = [("ID", "TENANT", "ROLES", "STATUS", "EXPIRES", "LAST USED", "IN")]
    for key in keys:
        owner = f"{key['tenant']}/{key['team']}" if key["team"] else key["tenant"]
        times = (_day(key["expires_at"]), _day(key["last_used_at"]))
        rows.append((key["id"], owner, ",".join(key["roles"]), key["status"], *times, key["source"]))
    typer.echo("\n".join(table(rows)))


@app.command()
def rotate(
    key_id: Id,
    overlap_hours: Annotated[
        float, typer.Option(min=0, max=8784, help="How long the old secret stays valid; 0 ends it now.")
    ] = 24,
    url: Url = "",
    as_json: Json = False,
) -> None:
    """Print a new secret of a key; the old one stays valid for a while."""
    overlap = {"overlap_seconds": round(overlap_hours * 3600)}
    _show_new(ask(url, "POST", f"{_ROUTE}/{key_id}/rotate", overlap), as_json=as_json)


@app.command()
def revoke(key_id: Id, url: Url = "", as_json: Json = False) -> None:
    """End a key now."""
    response = ask(url, "DELETE", f"{_ROUTE}/{key_id}")
    typer.echo(json.dumps(response) if as_json else f"{key_id} is revoked; no gateway takes it a second from now")


def _show_new(key: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(key, indent=1))
        return
    typer.echo(key["value"])
    until = f"valid until {_time(key['expires_at'])}" if key["expires_at"] else "valid for ever"
    typer.echo(f"This is shown once. {key['id']} of {key['owner']['name']} is {until}.", err=True)
    if key["previous_expires_at"]:
        typer.echo(f"The old secret is valid until {_time(key['previous_expires_at'])}.", err=True)


def _day(at: int | None) -> str:
    return "-" if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"


def _time(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"


@app.command()
def check(file: Annotated[Path, typer.Argument(help="A tenants.yaml.")]) -> None:
    """Say what is wrong with a file of tenants, before a gateway reads it."""
    from switchyard.gateway.tenants.reader import InvalidTenantsError, read

    try:
        content = read(file)
    except (InvalidTenantsError, OSError) as err:
        problems = [f"cannot be read: {err.strerror}"] if isinstance(err, OSError) else str(err).splitlines()
        typer.echo("\n".join(f"{file}: {problem}" for problem in problems), err=True)
        raise typer.Exit(2) from None
    counts = {
        "team": sum(len(tenant.teams) for tenant in content.tenants),
        "limit": sum(1 for tenant in content.tenants for _ in tenant.every_limit()),
        "price": len(content.prices),
    }
    keys = sum(1 for tenant in content.tenants for _ in tenant.every_key())
    rest = "".join(f", {_counted(number, word)}" for word, number in counts.items())
    typer.echo(f"{file}: fine, {_counted(len(content.tenants), 'tenant')} with {_counted(keys, 'key')}{rest}")


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


@app.command()
def schema() -> None:
    """Print the JSON Schema of tenants.yaml, for editors."""
    from switchyard.gateway.tenants.document import TenantsFile

    typer.echo(json.dumps(TenantsFile.model_json_schema(), indent=1))
