"""``switchyard key``: keys for the clients of a gateway, and a check of the file that knows them."""

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from switchyard.gateway.tenants.keys import NAME, create_key, digest

app = typer.Typer(help="API keys and the tenants who have them.", no_args_is_help=True, rich_markup_mode=None)


class Role(StrEnum):
    """What a key may do."""

    use = "use"
    adapters = "adapters"
    admin = "admin"


def _key_id(text: str) -> str:
    if not re.fullmatch(NAME, text):
        raise typer.BadParameter(f"{text!r} is no key id: use lower case letters, digits and hyphens, at most 63")
    return text


@app.command()
def create(
    key_id: Annotated[
        str, typer.Argument(metavar="ID", callback=_key_id, help="The key's name in logs, such as acme-ci.")
    ],
    role: Annotated[list[Role], typer.Option(help="What it may do; may be given several times.")] = [Role.use],  # noqa: B006 - typer's way
    days: Annotated[int, typer.Option(min=0, help="How long it is valid; 0 for ever.")] = 365,
) -> None:
    """Print a new key, which nothing keeps, and what tenants.yaml says of it."""
    key = create_key()
    lines = [f"- id: {key_id}", f'  sha256: "{digest(key.encode()).hex()}"', f"  roles: [{', '.join(role)}]"]
    if days:
        lines.append(f"  expires: {datetime.now(UTC) + timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}")
    typer.echo(key)
    typer.echo("This is shown once. Below `keys` of its tenant or team, tenants.yaml gets:", err=True)
    typer.echo("\n".join(lines))


@app.command()
def check(file: Annotated[Path, typer.Argument(help="A tenants.yaml.")]) -> None:
    """Say what is wrong with a file of tenants, before a gateway reads it."""
    from switchyard.gateway.tenants.reader import InvalidTenantsError, read

    try:
        tenants = read(file).tenants
    except (InvalidTenantsError, OSError) as err:
        problem = f"cannot be read: {err.strerror}" if isinstance(err, OSError) else err
        typer.echo(f"{file}: {problem}", err=True)
        raise typer.Exit(2) from None
    keys = sum(1 for tenant in tenants for _ in tenant.every_key())
    typer.echo(f"{file}: fine, {_counted(len(tenants), 'tenant')} with {_counted(keys, 'key')}")


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


@app.command()
def schema() -> None:
    """Print the JSON Schema of tenants.yaml, for editors."""
    import json

    from switchyard.gateway.tenants.document import TenantsFile

    typer.echo(json.dumps(TenantsFile.model_json_schema(), indent=1))
