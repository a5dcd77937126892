"""The form of keys, and how one is found."""

import hashlib
import re
from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from switchyard.cli.app import app
from switchyard.gateway.tenants.directory import Directory, RejectedKeyError
from switchyard.gateway.tenants.keys import FORM, create_key, digest, is_key
from switchyard.gateway.tenants.limits import Limit, Limits


def test_a_key_is_known_by_its_form_and_no_two_are_the_same() -> None:
    keys = {create_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(is_key(key.encode()) and re.search(FORM, f'key="{key}"') for key in keys)


@pytest.mark.parametrize(
    "change",
    [
        lambda key: key[:10] + ("a" if key[10] != "a" else "b") + key[11:],
        lambda key: key[:-1],
        lambda key: key + "a",
        lambda key: "sk-" + key[3:],
        lambda key: key[:-1] + "-",
        lambda key: "",
    ],
    ids=["a wrong letter", "too short", "too long", "another prefix", "no letter", "empty"],
)
def test_what_is_mistyped_is_no_key(change: Callable[[str], str]) -> None:
    assert not is_key(change(create_key()).encode())


def directory(key: str, end: float | None) -> Directory:
    made = Directory()
    entry = (digest(key.encode()).hex(), "ci", ("use",), end, ())
    row = {
        "tenant": "acme",
        "team": "web",
        "weight": 3,
        "models": [["chat-*"]],
        "keys": [entry],
        "service_tiers": ["flex"],
    }
    made.add({**row, "limits": {"zone": "UTC", "tenant": (), "team": ()}})
    return made


def test_a_key_is_found_by_its_hash() -> None:
    key = create_key()
    found = directory(key, None).find(key.encode(), lambda: 0.0)
    assert (found.tenant, found.team, found.key_id) == ("acme", "web", "ci")
    assert found.roles == {"use"}
    assert found.models == (("chat-*",),)
    assert found.limits is None
    assert (found.weight, found.service_tiers) == (3, frozenset(("flex",)))
    assert hashlib.sha256(key.encode()).digest() == digest(key.encode())


@pytest.mark.parametrize(("end", "now"), [(10.0, 9.9), (None, 1e12)])
def test_a_key_is_valid_until_its_end(end: float | None, now: float) -> None:
    key = create_key()
    assert directory(key, end).find(key.encode(), lambda: now).key_id == "ci"


@pytest.mark.parametrize(("end", "now", "why"), [(10.0, 10.0, "expired"), (0.0, 5.0, "revoked")])
def test_a_key_that_has_ended_is_rejected_with_its_id(end: float, now: float, why: str) -> None:
    key = create_key()
    with pytest.raises(RejectedKeyError) as raised:
        directory(key, end).find(key.encode(), lambda: now)
    assert (raised.value.why, raised.value.key_id) == (why, "ci")


def test_the_command_prints_a_key_once_and_what_the_file_says_of_it() -> None:
    done = CliRunner().invoke(app, ["key", "create", "acme-ci", "--role", "use", "--role", "admin", "--days", "0"])
    key, *entry = done.stdout.splitlines()
    assert done.exit_code == 0
    assert is_key(key.encode())
    assert entry == ["- id: acme-ci", f'  sha256: "{digest(key.encode()).hex()}"', "  roles: [use, admin]"]
    assert key not in done.stderr


@pytest.mark.parametrize("name", ["Bad Id", "-ci", "", "a" * 64, "ci\n"])
def test_the_command_makes_no_key_with_an_id_that_the_file_may_not_have(name: str) -> None:
    done = CliRunner().invoke(app, ["key", "create", "--", name])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "is no key id: use lower case" in " ".join(done.stderr.split())


def test_the_limits_of_a_key_stand_beside_its_tenants_and_equal_ones_are_one_object() -> None:
    keys, made = [create_key() for _ in range(3)], Directory()
    own = ("requests", 5, "minute", ("chat",), False, "closed")
    for number, (key, limits) in enumerate(zip(keys, ([own], [own], []), strict=True)):
        entry = (digest(key.encode()).hex(), f"k{number}", ("use",), None, limits)
        tenant = {
            "zone": "Asia/Tokyo",
            "tenant": [("tokens", 9, "day", (), False, "open")] if number else [],
            "team": (),
        }
        row = {"tenant": f"t{number}", "team": "", "weight": 1, "limits": tenant, "models": [], "service_tiers": []}
        made.add({**row, "keys": [entry]})
    first, second, third = (made.find(key.encode(), lambda: 0.0).limits for key in keys)
    limit = Limit("requests", 5, "minute", ("chat",), shadow=False, without_store="closed")
    assert first == Limits("Asia/Tokyo", (), (), (limit,))
    assert second == Limits("Asia/Tokyo", (Limit("tokens", 9, "day"),), (), (limit,))
    assert third == Limits("Asia/Tokyo", (Limit("tokens", 9, "day"),), (), ())
    assert first.key is second.key
    assert second.tenant is third.tenant
    assert made.has_limits
