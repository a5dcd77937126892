"""What ``tenants.yaml`` may say, and the sentence for what it may not."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from switchyard.cli.app import app
from switchyard.gateway.tenants.caching import Caching
from switchyard.gateway.tenants.directory import Directory
from switchyard.gateway.tenants.issuer import Issuer
from switchyard.gateway.tenants.limits import read_limits
from switchyard.gateway.tenants.reader import KEYS_PER_ROW, InvalidTenantsError, issuer_rows, parsed, read, rows
from tests.switchyard.gateway.tenants.access import KEYS, document

HASH = "a" * 64


def test_yaml_and_json_say_the_same(tmp_path: Path) -> None:
    path = tmp_path / "tenants.yaml"
    path.write_text(yaml.safe_dump(document()))
    of_yaml = list(rows(read(path)))
    path.write_text(json.dumps(document()))
    assert list(rows(read(path))) == of_yaml
    assert [(row["tenant"], row["team"], row["models"]) for row in of_yaml] == [
        ("acme", "", [["chat", "oc?", "sleepy"]]),
        ("acme", "readers", [["chat", "oc?", "sleepy"], ["o*"]]),
        ("globex", "", []),
    ]
    assert [row["weight"] for row in of_yaml] == [2, 2, 1]


def test_a_cache_is_its_tenants_and_its_teams_too(tmp_path: Path) -> None:
    path, directory = tmp_path / "tenants.yaml", Directory()
    cache = {"seconds": 60, "models": ["chat-*"], "share": "labs", "hits": "tokens", "megabytes": 2}
    team = {"name": "web", "keys": [{"id": "web", "sha256": "b" * 64}]}
    with_cache = {"name": "acme", "cache": cache, "keys": [{"id": "acme", "sha256": HASH}], "teams": [team]}
    path.write_text(yaml.safe_dump({"tenants": [with_cache, {"name": "globex"}, {"name": "plain", "cache": {}}]}))
    for row in rows(read(path)):
        directory.add(row)
    caching = Caching(60, ("chat-*",), "labs", "tokens", 2_000_000)
    assert directory.caching() == {"acme": caching, "plain": Caching()}
    of_team = directory.of_token("acme", "web", "issuer:ann", frozenset())
    of_other = directory.of_token("globex", "", "issuer:ann", frozenset())
    assert of_team is not None
    assert of_other is not None
    assert (of_team.caching, of_other.caching) == (caching, None)


@pytest.mark.parametrize(
    "text",
    [
        "a: [x, 1, 1.5, true, null, ~, 2026-11-29, 0x1f, 'true', !!str 7, !!int '7', '']",
        "a: &limits [{most: 1}]\nb: *limits\nc: [*limits, *limits]",
        "base: &base {x: 1, y: [2]}\na: {<<: *base, z: 3}\nb: {<<: [*base], z: 4}",
        "{2: a, true: b, null: c}",
        "a: !!set {x, y}\nb: !!binary aGk=\nc: !!omap [x: 1]",
        "plain text",
        "- |\n  several\n  lines\n- >\n  a long\n  one",
        "",
    ],
)
def test_yaml_means_what_it_means_elsewhere(text: str) -> None:
    assert parsed(text.encode()) == yaml.safe_load(text)


def test_what_is_named_again_and_again_is_made_once() -> None:
    laughs = "a0: &a0 [ha]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 60))
    made = parsed(laughs.encode())
    assert made["a59"][0] is made["a59"][9] is made["a58"]


def test_what_contains_itself_is_rejected() -> None:
    with pytest.raises(InvalidTenantsError, match="line 1: this contains itself"):
        parsed(b"a: &a [x, *a]")


def test_many_keys_come_in_rows_of_a_bounded_size(tmp_path: Path) -> None:
    keys = [{"id": f"key-{number}", "sha256": f"{number:064x}"} for number in range(KEYS_PER_ROW + 1)]
    path = tmp_path / "tenants.yaml"
    path.write_text(json.dumps({"tenants": [{"name": "acme", "keys": keys}]}))
    assert [len(row["keys"]) for row in rows(read(path))] == [KEYS_PER_ROW, 1]


ISSUER = "tenants: []\njwt: [{name: login, issuer: i, audience: a"
KEY = f"{{id: a, sha256: {HASH}}}"


def with_key(fields: str) -> str:
    return f"tenants: [{{name: a, keys: [{{id: a, {fields}}}]}}]"


def with_limit(fields: str) -> str:
    return f"tenants: [{{name: a, models: ['chat-*', ocr], limits: [{{{fields}}}]}}]"


REQUESTS = "{limit: requests, most: 1, per: day}"
WRONG = {
    "an unknown field": ("tenants: [{name: a, budget: 5}]", "tenants[0] (a).budget: no such field"),
    "a field of a key": (
        with_key(f"sha256: {HASH}, role: x"),
        "tenants[0] (a).keys[0] (a).role: no such field; did you mean roles?",
    ),
    "no list": ("tenants: {a: {}}", "tenants: "),
    "nothing": ("", "the file is empty; one without tenants says `tenants: []`"),
    "a name": (
        "tenants: [{name: Acme Inc}]",
        "tenants[0].name: use lower case letters, digits and hyphens, at most 63",
    ),
    "a plain key": (
        with_key(f"sha256: {KEYS['acme']}"),
        "keys[0] (a).sha256: this is a key, not its SHA-256; make another, as this one has been in a file",
    ),
    "half a hash": (with_key("sha256: abc"), "keys[0] (a).sha256: use the 64 digits, of 0-9 and a-f, that"),
    "a field with a typing error": ("tenants: [{name: a, model: [x]}]", "no such field; did you mean models?"),
    "yes and no": (with_limit("limit: tokens, most: 1, per: day, shadow: some"), "limits[0].shadow: use true or false"),
    "a number in words": (with_limit("limit: tokens, most: many, per: day"), "limits[0].most: use a number"),
    "a time that is none": (with_key(f"sha256: {HASH}, expires: soon"), "use a time with its zone, as 2030-01-31T0"),
    "a hash that YAML takes for a number": (
        with_key(f"sha256: {'0' * 64}"),
        "keys[0] (a).sha256: this is no text; what",
    ),
    "a role": (with_key(f"sha256: {HASH}, roles: [root]"), "roles[0]: use 'use' or 'admin'"),
    "no role": (with_key(f"sha256: {HASH}, roles: []"), "roles: "),
    "a local time": (with_key(f"sha256: {HASH}, expires: 2030-01-01T00:00:00"), "expires: use a time with its zone"),
    "a pattern": ("tenants: [{name: a, models: ['chat (all)']}]", "is no pattern of names"),
    "a limit without a time": (with_limit("limit: tokens, most: 1"), "in_flight has no per, and everything else has"),
    "a limit at once with one": (with_limit("limit: in_flight, most: 1, per: day"), "in_flight has no per"),
    "a limit of nothing": (
        with_limit("limit: requests, most: 0, per: day"),
        "tenants[0] (a).limits[0].most: use a number above 0",
    ),
    "half a request": (with_limit("limit: requests, most: 1.5, per: day"), "requests is a whole number, and not 1.5"),
    "a part of a nano-dollar": (
        with_limit("limit: dollars, most: 0.1234567891, per: day"),
        "most of dollars has at most 9 decimal places, and not 0.1234567891",
    ),
    "a part of a pixel": (with_limit("limit: megapixels, most: 0.1234567, per: day"), "at most 6 decimal places"),
    "dollars without prices": (with_limit("limit: dollars, most: 1, per: day"), "limits of dollars and no prices"),
    "a limit of something else": (with_limit("limit: euros, most: 1, per: day"), "limits[0].limit: "),
    "too many megapixels": (
        with_limit("limit: megapixels, most: 9007199255, per: day"),
        "at most 9007199254 megapixels",
    ),
    "a limit of no model": (
        with_limit("limit: requests, most: 1, per: day, models: ['embed-?']"),
        "limits: embed-? matches no model that may be used, which are chat-*, ocr",
    ),
    "a limit of a key of no model": (
        f"tenants: [{{name: a, teams: [{{name: t, models: [ocr], keys: [{{id: k, sha256: {HASH}, limits: "
        "[{limit: requests, most: 1, per: day, models: [chat]}]}]}]}]",
        "key k, limits: chat matches no model that may be used, which are ocr",
    ),
    "a limit twice": (
        f"tenants: [{{name: a, limits: [{REQUESTS}, {REQUESTS}]}}]",
        "limits: two are of the same kind, time and models",
    ),
    "a time zone": ("tenants: [{name: a, timezone: Mars/Olympus}]", "'Mars/Olympus' is no time zone"),
    "a tenant twice": (
        "tenants: [{name: a}, {name: a}]",
        "tenant a is there 2 times; each may be there once: tenants[0] (a), tenants[1] (a)",
    ),
    "a team twice": ("tenants: [{name: a, teams: [{name: t}, {name: t}]}]", "team a/t is there 2 times"),
    "a key id twice": (
        f"tenants: [{{name: a, keys: [{KEY}]}}, {{name: b, teams: [{{name: t, keys: [{KEY}]}}]}}]",
        "key id a is there 2 times; each may be there once: tenants[0] (a).keys[0] (a), "
        "tenants[1] (b).teams[0] (t).keys[0] (a)",
    ),
    "a hash twice": (f"tenants: [{{name: a, keys: [{KEY}, {{id: b, sha256: {HASH}}}]}}]", "sha256 aaaa"),
    "a field twice": ("tenants:\n- name: a\n  name: b\n", "line 2: a field is there twice"),
    "an issuer without keys": (f"{ISSUER}}}]", "jwt[0] (login): say where its keys are"),
    "two places of keys": (
        f"{ISSUER}, jwks_url: 'https://a/', jwks_file: b}}]",
        "jwt[0] (login): say where its keys are",
    ),
    "keys by plain http": (
        f"{ISSUER}, jwks_url: 'http://a.example/'}}]",
        "jwt[0] (login).jwks_url: 'http://a.example/' is no",
    ),
    "a shared secret": (f"{ISSUER}, jwks_file: b, algorithms: [HS256]}}]", "jwt[0] (login).algorithms[0]: "),
    "no signature": (f"{ISSUER}, jwks_file: b, algorithms: [none]}}]", "jwt[0] (login).algorithms[0]: "),
    "no audience": (
        "tenants: []\njwt: [{name: a, issuer: b, jwks_file: c}]",
        "jwt[0] (a).audience: this field is missing",
    ),
    "a tenant of no entry": (f"{ISSUER}, jwks_file: b, tenants: {{x: gone}}}}]", "login names the tenant gone"),
    "an issuer twice": (f"{ISSUER}, jwks_file: b}}, {{name: b, issuer: i, audience: a, jwks_file: b}}]", "issuer i is"),
    "roles of no claim": (f"{ISSUER}, jwks_file: b, roles: {{x: [use]}}}}]", "jwt[0] (login): roles translates"),
    "no YAML": ("tenants: [\n", "line 2, column 1: "),
    "a key for a field": (
        f"tenants: [{{name: a, keys: [{{id: a, sha256: {HASH}, {KEYS['acme']}: 1}}]}}]",
        "keys[0] (a).…: no",
    ),
    "a key within a name": (
        f"tenants: [{{name: x{KEYS['acme']}}}, {{name: x{KEYS['acme']}}}]",
        "tenant xsy-… is there",
    ),
    "a key for a zone": (f"tenants: [{{name: a, timezone: {KEYS['acme']}}}]", "'sy-…' is no time zone"),
    "a key for an alias": (f"tenants: *{KEYS['acme']}", "line 1, column 10: found undefined alias"),
    "a key for a number": (f"tenants: !!int {KEYS['acme']}", "line 1: this is no valid int"),
    "a number for ever": (f"tenants: [{{name: a, weight: {'9' * 5000}}}]", "line 1: this is no valid int"),
    "a day that is none": ("tenants: [{name: a, weight: 2026-13-45}]", "line 1: this is no valid timestamp"),
    "lists for ever": ("tenants: " + "[" * 2000 + "]" * 2000, "nested deeper than any of its fields"),
    "a long sentence": (f"tenants: [{{name: a, timezone: {'x' * 1000}}}]", "xxx…"),
    "code": ("tenants: !!python/object/apply:os.system [ls]", "could not determine a constructor for the tag '…'"),
}


@pytest.mark.parametrize(("text", "sentence"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_with_its_place_and_without_what_may_be_a_secret(
    text: str, sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "tenants.yaml"
    path.write_text(text)
    with pytest.raises(InvalidTenantsError) as raised:
        read(path)
    assert sentence in str(raised.value)
    assert KEYS["acme"] not in str(raised.value)
    assert raised.value.__cause__ is None  # which would be shown with it
    checked = CliRunner().invoke(app, ["key", "check", str(path)])
    assert checked.exit_code == 2
    assert sentence in checked.stderr


def test_an_issuer_is_a_row_with_its_file_in_the_folder_of_tenants(tmp_path: Path) -> None:
    path = tmp_path / "tenants.yaml"
    said = (
        "jwks_file: keys.json, tenant_claim: [org, id], roles_claim: scope, roles: {ops: [admin]}, refresh_seconds: 60"
    )
    path.write_text(f"{ISSUER}, {said}}}]")
    (row,) = issuer_rows(read(path), tmp_path)
    assert Issuer.of(json.loads(json.dumps(row["issuer"]))) == Issuer(
        name="login",
        issuer="i",
        audience=("a",),
        jwks_url="",
        jwks_file=str(tmp_path / "keys.json"),
        refresh_seconds=60.0,
        algorithms=("RS256", "ES256", "EdDSA"),
        leeway_seconds=30.0,
        tenant_claim=("org", "id"),
        tenants={},
        team_claim=(),
        roles_claim=("scope",),
        roles={"ops": ("admin",)},
    )


def test_only_the_first_of_many_faults_are_said(tmp_path: Path) -> None:
    path = tmp_path / "tenants.yaml"
    path.write_text(json.dumps({"tenants": [{"name": f"A{number}"} for number in range(100)]}))
    with pytest.raises(InvalidTenantsError) as raised:
        read(path)
    lines = str(raised.value).splitlines()
    assert (len(lines), lines[-1]) == (11, "and 90 more")


def test_a_clash_is_said_beside_other_faults_and_no_fault_that_follows_from_another(tmp_path: Path) -> None:
    path = tmp_path / "tenants.yaml"
    keys = f"[{KEY}, {{id: a, sha256: {'b' * 64}, roles: [root]}}, {{id: b, sha256: {HASH}}}]"
    path.write_text(f"tenants: [{{name: a, keys: {keys}}}, 7]\njwt: [{{name: [], tenants: {{x: gone}}}}]")
    checked = CliRunner().invoke(app, ["key", "check", str(path)])
    assert [line.removeprefix(f"{path}: ").partition(": ")[0] for line in checked.stderr.splitlines()] == [
        *("tenants[0] (a).keys[1] (a).roles[0]", "tenants[1]", "jwt[0].name", "jwt[0].issuer", "jwt[0].audience"),
        "key id a is there 2 times; each may be there once",
        f"sha256 {HASH} is there 2 times; each may be there once",
        "jwt",
    ]


def test_a_file_that_is_not_there_is_said_in_words(tmp_path: Path) -> None:
    checked = CliRunner().invoke(app, ["key", "check", str(tmp_path / "none")])
    assert (checked.exit_code, checked.stderr) == (
        2,
        f"{tmp_path / 'none'}: cannot be read: No such file or directory\n",
    )


@pytest.mark.parametrize(
    ("unit", "most", "counted", "units"),
    [
        ("dollars", "0.1", 100_000_000, 0.1),
        ("dollars", "1234567.123456789", 1_234_567_123_456_789, 1234567.123456789),
        ("dollars", "50.0", 50_000_000_000, 50),
        ("megapixels", "0.000001", 1, 0.000001),
        ("requests", "2.0", 2, 2),
    ],
)
def test_decimals_of_dollars_and_megapixels_are_counted_exactly(
    unit: str, most: str, counted: int, units: float, tmp_path: Path
) -> None:
    path = tmp_path / "tenants.yaml"
    limits = f"[{{limit: {unit}, most: {most}, per: month}}]"
    path.write_text(f"{{tenants: [{{name: a, limits: {limits}}}], prices: [{{models: ['*']}}]}}")
    *_, row = rows(read(path))
    (limit,) = read_limits(row["limits"]["tenant"])
    assert (limit.most, limit.most_units) == (counted, units)
    assert type(limit.most) is int


def test_a_valid_file_is_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "tenants.yaml"
    path.write_text(yaml.safe_dump(document()))
    checked = CliRunner().invoke(app, ["key", "check", str(path)])
    assert (checked.exit_code, checked.stdout) == (
        0,
        f"{path}: fine, 2 tenants with 7 keys, 1 team, 0 limits, 0 prices\n",
    )


def test_a_file_that_would_take_all_memory_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "tenants.yaml"
    path.write_bytes(b"[" + b"{}," * (2 * 1024 * 1024) + b"{}]")
    module = "switchyard.gateway.tenants.reader"
    code = f"import {module} as reader, sys; reader.MEMORY_BYTES = 300 << 20; sys.exit(reader.main())"
    result = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=120)
    assert (result.returncode, result.stderr) == (2, "to read it takes more than 300 MiB of memory\n")
