"""``switchyard usage`` against a real gateway: what its routes say, added up, exported and pruned."""

import asyncio
import csv
import io
import json
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest
from typer.testing import CliRunner

from switchyard.cli.app import app
from switchyard.cli.bill import export
from switchyard.cli.bill.organization import BillError, Organization
from switchyard.cli.bill.summary import Amounts, dollars
from switchyard.gateway.usage.entries import AMOUNTS, FIELDS, dimensions
from switchyard.gateway.usage.hours import entries
from switchyard.gateway.usage.platform import OWNER
from switchyard.store.ledger import Entry, Ledger
from switchyard.store.sqlite_ledger import SqliteLedger
from tests.switchyard.gateway.conftest import Bench, gateway
from tests.switchyard.gateway.tenants.access import KEYS, tenants

DAY = 86400
NOON = int(time.time()) // DAY * DAY - DAY // 2  # yesterday's
YESTERDAY = datetime.fromtimestamp(NOON, UTC).date()
PRICE = 1_234_567_891
HOUR = 3_600_000  # milliseconds
Run = tuple[int, str, str]


async def usage(bench: Bench, *arguments: str, key: str = "admin", **env: str) -> Run:
    """The status of the command, what it prints, and what it says went wrong."""
    given = {"SWITCHYARD_KEY": KEYS.get(key, key), "SWITCHYARD_URL": bench.url, "COLUMNS": "200", **env}
    # A thread, because the command has an event loop of its own.
    done = await asyncio.to_thread(CliRunner().invoke, app, ["usage", *arguments], env=given)
    return done.exit_code, done.stdout, done.stderr


def row(number: int, tenant: str, model: str, key_id: str) -> dict[str, Any]:
    values = {name: kind() for name, kind in FIELDS.items()}
    said = {"id": f"{tenant}-{number}", "time": NOON + 0.25, "tenant": tenant, "model": model, "api_key_id": key_id}
    return {**values, **said, "outcome": "ok", "prompt_tokens": 10, "nano_dollars": PRICE}


async def settle(ledger: Ledger, tenant: str, model: str, key_id: str, count: int = 1) -> None:
    endpoint = "images" if model == "ocr" else "completions"
    amounts = dict.fromkeys(AMOUNTS, 0) | {"requests": 1, "prompt_tokens": 10, "nano_dollars": PRICE}
    amounts["inferences"] = int(model == "ocr")
    for number in range(count):
        content = json.dumps(row(number, tenant, model, key_id)).encode()
        entry = Entry(content, dimensions(endpoint, "", key_id, model), tuple(amounts.values()))
        await ledger.settle(tenant, f"{model}-{key_id}-{number}", (), entry)


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    """What acme and globex used at noon of yesterday."""
    opened = SqliteLedger(tmp_path / "ledger.db", clock=lambda: NOON)
    await settle(opened, "acme", "chat", "acme-key", 3)
    await settle(opened, "acme", "ocr", "team-key")
    await settle(opened, "globex", "chat", "globex-key", 2)
    yield opened
    await opened.aclose()


@pytest.fixture
async def bench(tmp_path: Path, ledger: Ledger) -> AsyncIterator[Bench]:
    async with gateway(tmp_path, tenants=await tenants(tmp_path), ledger=ledger) as bench:
        yield bench


def lines(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


SINCE = ("--since", YESTERDAY.isoformat())


async def test_an_admin_sees_all_by_what_is_asked_for_exact_to_the_nano_dollar(bench: Bench) -> None:
    status, printed, said = await usage(bench, "--by", "tenant,model", "--csv", *SINCE)
    assert (status, said) == (0, "")
    found = [(one["tenant"], one["model"], one["requests"], one["dollars"]) for one in lines(printed)]
    assert found == [
        ("acme", "chat", "3", "3.703703673"),
        ("acme", "ocr", "1", "1.234567891"),
        ("globex", "chat", "2", "2.469135782"),
    ]
    assert [one["inferences"] for one in lines(printed)] == ["0", "1", "0"]


async def test_a_tenant_sees_its_own_and_days_are_told_apart(bench: Bench) -> None:
    _, printed, _ = await usage(bench, "--by", "day,key", "--json", *SINCE, key="team")
    assert json.loads(printed) == [
        {
            "day": YESTERDAY.isoformat(),
            "key": name,
            **dict.fromkeys(Amounts.__slots__, 0),
            "requests": count,
            "input_tokens": 0 if name == "team-key" else 30,
            "inferences": int(name == "team-key"),
            "nano_dollars": PRICE * count,
            "dollars": dollars(PRICE * count),
        }
        for name, count in (("acme-key", 3), ("team-key", 1))
    ]


async def test_a_team_is_shown_with_its_tenant_as_another_may_have_one_of_the_same_name(
    bench: Bench, ledger: Ledger
) -> None:
    for tenant in ("acme", "globex"):
        amounts = dict.fromkeys(AMOUNTS, 0) | {"requests": 1}
        entry = Entry(b"{}", dimensions("completions", "readers", "k", "chat"), tuple(amounts.values()))
        await ledger.settle(tenant, "of a team", (), entry)
    for by in ("team", "key,team", "tenant,team"):
        _, printed, _ = await usage(bench, "--by", by, "--csv", *SINCE)
        found = {one["team"]: one["requests"] for one in lines(printed) if "readers" in one["team"]}
        assert found == ({"readers": "1"} if "tenant" in by else {"acme/readers": "1", "globex/readers": "1"})
    _, printed, _ = await usage(bench, "--by", "team", "--csv", *SINCE)
    assert {one["team"]: one["requests"] for one in lines(printed)}["acme"] == "4"  # of keys without a team


async def test_the_table_has_a_sum_and_no_column_without_numbers(bench: Bench) -> None:
    status, printed, _ = await usage(bench, *SINCE)
    head, *_, last = printed.splitlines()
    assert status == 0
    assert head.split() == ["model", "requests", "input", "tokens", "inferences", "dollars"]
    assert last.split() == ["all", "6", "50", "1", "7.407407346"]


async def test_days_and_tenants_bound_what_is_shown(bench: Bench) -> None:
    before = (YESTERDAY - timedelta(days=3)).isoformat()
    assert "nothing was used" in (await usage(bench, "--since", before, "--until", before))[1]
    _, printed, _ = await usage(bench, "--by", "tenant", "--csv", "--tenant", "globex", "--since", before)
    assert [one["tenant"] for one in lines(printed)] == ["globex"]


@pytest.mark.parametrize(
    ("by", "line"),
    [
        ("model", "idle chat"),
        ("tenant", "(platform) idle chat"),
        ("day", f"{YESTERDAY} idle chat"),
        ("key", "idle chat"),
    ],
)
async def test_hours_that_nobody_used_stay_apart_by_whatever_is_asked_for(
    bench: Bench, ledger: Ledger, by: str, line: str
) -> None:
    await ledger.settle(OWNER, "idle", (), entries.idle(NOON, "chat", PRICE, HOUR, HOUR))
    _, printed, _ = await usage(bench, "--by", by, "--csv", *SINCE)
    idle = {one[by]: one["dollars"] for one in lines(printed)}[line]
    assert idle == "1.234567891"
    assert sum(Fraction(one["dollars"]) for one in lines(printed)) == Fraction(7 * PRICE, 10**9)


async def test_hours_that_nobody_watched_are_told_and_cost_nothing(
    bench: Bench, ledger: Ledger, tmp_path: Path
) -> None:
    later = SqliteLedger(tmp_path / "ledger.db", clock=lambda: NOON + 4 * 3600)
    await ledger.settle(OWNER, "before", (), entries.watched(NOON, HOUR))
    await later.settle(OWNER, "after", (), entries.watched(NOON, HOUR))
    await later.aclose()
    _, printed, said = await usage(bench, "--csv", *SINCE)
    assert said == "for 3.0 hours no gateway watched: what accelerators cost then is not known\n"
    assert [one["model"] for one in lines(printed)] == ["chat", "ocr"]


@pytest.mark.parametrize(
    ("key", "env", "told"),
    [
        ("", {}, "set SWITCHYARD_KEY"),
        ("nonsense", {}, "(401)"),
        ("admin", {"SWITCHYARD_URL": "http://127.0.0.1:1"}, "does not respond"),
        ("admin", {"SWITCHYARD_URL": "localhost:8000"}, "is no URL of a gateway"),
    ],
)
async def test_what_cannot_be_asked_is_a_sentence(bench: Bench, key: str, env: dict[str, str], told: str) -> None:
    status, printed, said = await usage(bench, key=key, **env)
    assert (status, printed) == (1, "")
    assert told in said
    assert len(said.splitlines()) == 1


async def test_a_day_is_exported_as_lines_of_json(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    status, printed, said = await usage(bench, "export", "--day", YESTERDAY.isoformat(), "--to", str(folder))
    assert (status, said) == (0, "")
    path = folder / f"usage-{YESTERDAY}.jsonl"
    assert printed == f"{path}: 6 rows\n"
    exported = [json.loads(line) for line in path.read_text().splitlines()]
    assert [one["id"] for one in exported] == ["acme-0", "acme-1", "acme-2", "acme-0", "globex-0", "globex-1"]
    assert sum(one["nano_dollars"] for one in exported) == 6 * PRICE
    assert [file.name for file in folder.iterdir()] == [path.name]


async def test_a_day_that_is_not_over_is_not_exported(bench: Bench, tmp_path: Path) -> None:
    today = datetime.now(UTC).date().isoformat()
    status, _, said = await usage(bench, "export", "--day", today, "--to", str(tmp_path / "out"))
    assert (status, "is not over" in said) == (2, True)


async def test_pages_of_rows_follow_each_other_over_tenants(bench: Bench) -> None:
    asked: dict[str, Any] = {"start_time": NOON - 10, "end_time": NOON + 10, "limit": 2}
    headers = {"authorization": f"Bearer {KEYS['admin']}"}
    seen, page = [], ""
    while page is not None:
        query = {**asked, "page": page} if page else asked
        body = (await bench.http.get("/v1/organization/usage/rows", params=query, headers=headers)).json()
        seen.append([one["id"] for one in body["data"]])
        page = body["next_page"]
    assert [len(ids) for ids in seen] == [2, 2, 2, 0]
    assert [one for ids in seen for one in ids] == ["acme-0", "acme-1", "acme-2", "acme-0", "globex-0", "globex-1"]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("", "start_time"),
        ("start_time=0&page=acme:x", "page"),
        ("start_time=0&limit=1001", "limit"),
        ("start_time=0&group_by=model", "group_by"),
    ],
)
async def test_what_cannot_be_meant_of_rows_is_400(bench: Bench, query: str, param: str) -> None:
    headers = {"authorization": f"Bearer {KEYS['acme']}"}
    response = await bench.http.get(f"/v1/organization/usage/rows?{query}", headers=headers)
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


async def test_a_tenant_gets_no_rows_of_another_whatever_page_it_names(bench: Bench) -> None:
    headers = {"authorization": f"Bearer {KEYS['globex']}"}
    for query in ("", "&page=acme:", "&page=acme:1", "&project_ids=acme"):
        response = await bench.http.get(f"/v1/organization/usage/rows?start_time=0{query}", headers=headers)
        assert {one["tenant"] for one in response.json()["data"]} <= {"globex"}


async def test_parquet_has_a_row_for_each_call_with_types(bench: Bench, tmp_path: Path) -> None:
    organization = Organization(bench.url, KEYS["admin"])
    path, count = await export.export(organization, YESTERDAY, "parquet", tmp_path / "out")
    await organization.aclose()
    table = parquet.read_table(path)
    assert (table.num_rows, count) == (6, 6)
    assert set(table.column_names) == set(FIELDS)
    first = table.to_pylist()[0]
    assert first["time"] == datetime.fromtimestamp(NOON + 0.25, UTC)
    assert (first["nano_dollars"], first["estimated"]) == (PRICE, False)


async def test_without_pyarrow_a_sentence_says_what_to_do(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    organization = Organization(bench.url, KEYS["admin"])
    with pytest.raises(BillError, match="pip install pyarrow"):
        await export.export(organization, YESTERDAY, "parquet", tmp_path / "out")
    await organization.aclose()
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
async def test_an_export_that_breaks_off_leaves_the_file_of_before(
    bench: Bench, tmp_path: Path, form: export.Format
) -> None:
    path = tmp_path / "out" / f"usage-{YESTERDAY}.{form}"
    path.parent.mkdir()
    path.write_text("as it was")

    class Breaking(Organization):
        async def pages(self, *_: Any) -> Any:
            yield [row(1, "acme", "chat", "acme-key")]
            raise BillError("the gateway does not respond")

    with pytest.raises(BillError):
        await export.export(Breaking(bench.url, "key"), YESTERDAY, form, path.parent)
    assert [file.read_text() for file in path.parent.iterdir()] == ["as it was"]


async def test_old_calls_are_pruned_from_the_store_and_newer_ones_stay(
    bench: Bench, tmp_path: Path, ledger: Ledger
) -> None:
    store = {"SWITCHYARD_STORE": f"sqlite://{tmp_path}/ledger.db"}
    for day, left in ((YESTERDAY, 4), (YESTERDAY + timedelta(days=1), 0)):
        status, printed, _ = await usage(bench, "prune", "--before", day.isoformat(), **store)
        assert (status, printed) == (0, f"calls before {day} are forgotten\n")
        assert len(await ledger.rows("acme", since=0, until=2**40)) == left
    status, _, said = await usage(bench, "prune", "--before", YESTERDAY.isoformat(), SWITCHYARD_STORE="nonsense")
    assert (status, "is not a store" in said) == (1, True)


def test_dollars_are_exact() -> None:
    assert [dollars(amount) for amount in (0, 1, 10**9, 1_500_000_000, 2**53)] == [
        *("0.00", "0.000000001", "1.00", "1.50", "9007199.254740992"),
    ]
