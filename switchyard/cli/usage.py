"""``switchyard usage``: what calls used and cost, as a gateway has counted it."""

import os
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from switchyard.cli.gateway import Url, gateway_url

if TYPE_CHECKING:
    from switchyard.cli.bill.organization import Organization
    from switchyard.cli.bill.summary import Group

app = typer.Typer(
    help="What calls used and cost; the key is in SWITCHYARD_KEY.", invoke_without_command=True, rich_markup_mode=None
)
T = TypeVar("T")
_KEY_VARIABLE = "SWITCHYARD_KEY"
_DAY = ["%Y-%m-%d"]


class Format(StrEnum):
    """Of an exported file."""

    jsonl = "jsonl"
    parquet = "parquet"


def _today() -> date:
    return datetime.now(UTC).date()


def _groups(text: str) -> "list[Group]":
    from switchyard.cli.bill.summary import GROUPS

    names = [name.strip() for name in text.split(",")]
    groups = [group for name in dict.fromkeys(names) for group in GROUPS if group == name]
    if not set(names) <= set(GROUPS):
        raise typer.BadParameter(f"use some of {', '.join(GROUPS)}, separated by commas; not {text!r}")
    return groups


@app.callback()
def usage(
    context: typer.Context,
    by: Annotated[str, typer.Option(help="Some of day, tenant, team, key, model, separated by commas.")] = "model",
    since: Annotated[
        datetime | None, typer.Option(formats=_DAY, help="First day (UTC); default: of this month.")
    ] = None,
    until: Annotated[datetime | None, typer.Option(formats=_DAY, help="Last day (UTC); default: today.")] = None,
    tenant: Annotated[list[str] | None, typer.Option(help="These tenants alone; may be given several times.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    url: Url = "",
) -> None:
    """Print what calls used and cost. A key sees its own tenant, one with the role admin sees all."""
    if context.invoked_subcommand is not None:
        return
    from switchyard.cli.bill import output
    from switchyard.cli.bill.summary import summary

    groups, last = _groups(by), until.date() if until else _today()
    first = since.date() if since else last.replace(day=1)
    if first > last:
        raise typer.BadParameter(f"--since {first} is after --until {last}")
    asked = _asked(url, lambda organization: summary(organization, groups, first, last, tenant or ()))
    found = asked.sums
    if asked.unwatched_hours:
        hours = f"{asked.unwatched_hours:.1f} hours"
        typer.echo(f"for {hours} no gateway watched: what accelerators cost then is not known", err=True)
    if as_csv:
        typer.echo(output.as_csv(groups, found), nl=False)
    elif as_json:
        typer.echo(output.as_json(groups, found), nl=False)
    elif found:
        output.print_table(groups, found)
    else:
        typer.echo(f"nothing was used from {first} to {last}")


@app.command()
def export(
    day: Annotated[datetime, typer.Option(formats=_DAY, help="The day (UTC), which must be over.")],
    to: Annotated[Path, typer.Option(help="Folder of the file usage-<day>.<format>.")],
    form: Annotated[Format, typer.Option("--format", help="jsonl, or parquet with pyarrow.")] = Format.jsonl,
    url: Url = "",
) -> None:
    """Write the row of each call of a day to a file, which appears when it is whole."""
    from switchyard.cli.bill import export as writing

    if day.date() >= _today():
        raise typer.BadParameter(f"{day.date()} is not over in UTC: a file of it would lack the calls to come")
    try:
        path, count = _asked(url, lambda organization: writing.export(organization, day.date(), form.value, to))
    except OSError as err:
        raise _fail(f"{err.filename or to}: {err.strerror or err}") from err
    typer.echo(f"{path}: {count} rows")


@app.command()
def prune(
    before: Annotated[datetime, typer.Option(formats=_DAY, help="Calls before this day (UTC) are forgotten.")],
) -> None:
    """Forget old calls and their sums, in the store of SWITCHYARD_STORE: an admin's key alone cannot delete a bill."""
    import asyncio

    from switchyard.cli.bill.summary import midnight
    from switchyard.store.contract import StoreError
    from switchyard.store.factory import open_ledger

    if before.date() > _today():
        raise typer.BadParameter(f"{before.date()} is yet to come")

    async def run() -> None:
        ledger = open_ledger(os.environ.get("SWITCHYARD_STORE", ""))
        try:
            await ledger.prune(midnight(before.date()))
        finally:
            await ledger.aclose()

    try:
        asyncio.run(run())
    except (StoreError, ValueError) as err:
        raise _fail(f"SWITCHYARD_STORE: {err}") from err
    typer.echo(f"calls before {before.date()} are forgotten")


def _asked(url: str, ask: "Callable[[Organization], Awaitable[T]]") -> T:
    """Return what a gateway says; print errors that are meant for a person, and exit with code 1."""
    import asyncio

    from switchyard.cli.bill.organization import BillError, Organization

    key = os.environ.get(_KEY_VARIABLE, "").strip()
    if not key:
        raise _fail(
            f"set {_KEY_VARIABLE} to an API key: on the command line every process of this machine would see it"
        )

    async def run() -> T:
        organization = Organization(gateway_url(url), key)
        try:
            return await ask(organization)
        finally:
            await organization.aclose()

    try:
        return asyncio.run(run())
    except BillError as err:
        raise _fail(str(err)) from err


def _fail(message: str) -> typer.Exit:
    typer.echo(f"error: {message}", err=True)
    return typer.Exit(1)
