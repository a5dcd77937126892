"""Settings from an environment, and which addresses an open gateway listens on."""

from pathlib import Path

import pytest

from switchyard.gateway.settings import Settings, hosts, require_loopback
from switchyard.settings import SettingsError


def test_every_setting_can_be_given() -> None:
    env = {"SWITCHYARD_CATALOG": "/c.json", "MAX_BODY_BYTES": "10", "HEARTBEAT_SECONDS": "0.5", "DEFAULT_MODEL": "m"}
    settings = Settings.from_env(env)
    assert settings.switchyard_catalog == Path("/c.json")
    assert (settings.max_body_bytes, settings.heartbeat_seconds, settings.default_model) == (10, 0.5, "m")
    assert Settings.from_env({}) == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [("MAX_BODY_BYTES", "many"), ("IDLE_SECONDS", "0"), ("RETRY_SECONDS", "nan"), ("SWITCHYARD_ALLOW_OPEN", "yes")],
)
def test_a_value_that_cannot_be_used_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.from_env({name: value})


def test_each_tenant_has_a_namespace_of_its_own() -> None:
    env = {"SWITCHYARD_TENANT_NAMESPACES": "acme=switchyard-acme, globex=g"}
    assert Settings.from_env(env).switchyard_tenant_namespaces == (("acme", "switchyard-acme"), ("globex", "g"))
    for wrong in ("acme", "acme=", "=a", "a=b=c", "Acme=a", "a=b,a=c"):
        with pytest.raises(SettingsError, match="SWITCHYARD_TENANT_NAMESPACES"):
            Settings.from_env({"SWITCHYARD_TENANT_NAMESPACES": wrong})


def test_parts_of_budgets_are_percents_and_a_webhook_has_a_secret() -> None:
    assert Settings.from_env({"BUDGET_ALERTS": "90, 25,90"}).budget_alerts == (25, 90)
    assert Settings.from_env({"BUDGET_ALERTS": ""}).budget_alerts == ()
    for wrong in ("0", "101", "half", "1.5", ",".join(map(str, range(1, 12)))):
        with pytest.raises(SettingsError, match="BUDGET_ALERTS"):
            Settings.from_env({"BUDGET_ALERTS": wrong})
    given = {"BUDGET_WEBHOOK_URL": "https://example.org/x", "BUDGET_WEBHOOK_SECRET_FILE": "/secret"}
    assert Settings.from_env(given).budget_webhook_secret_file == Path("/secret")
    for one in given:
        with pytest.raises(SettingsError, match="needs both"):
            Settings.from_env({one: given[one]})
    with pytest.raises(SettingsError, match="BUDGET_WEBHOOK_URL"):
        Settings.from_env({**given, "BUDGET_WEBHOOK_URL": "file:///etc/passwd"})


def test_keys_of_the_metrics_are_named_by_their_hashes_and_no_error_shows_what_may_be_one() -> None:
    digests = [f"{number:064x}" for number in range(9)]
    found = Settings.from_env({"METRICS_KEY_SHA256": ", ".join(digests[:8])}).metrics_key_sha256
    assert [one.hex() for one in found] == digests[:8]
    assert Settings.from_env({"METRICS_KEY_SHA256": ""}).metrics_key_sha256 == ()
    for wrong in ("a-key", digests[1][1:], "AB" * 32, ",".join(digests)):
        with pytest.raises(SettingsError, match="METRICS_KEY_SHA256") as raised:
            Settings.from_env({"METRICS_KEY_SHA256": wrong})
        assert wrong not in str(raised.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_is_open(host: str) -> None:
    require_loopback(host, Settings())


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "::", "example.org", ""])
def test_any_other_address_needs_permission(host: str) -> None:
    with pytest.raises(SettingsError, match="SWITCHYARD_ALLOW_OPEN=true"):
        require_loopback(host, Settings())
    require_loopback(host, Settings(switchyard_allow_open=True))


def test_a_gateway_listens_where_the_setting_says_too() -> None:
    def listened(host: str, listen: str) -> tuple[str, ...]:
        return hosts(host, Settings(switchyard_listen=listen, switchyard_tenants=Path("tenants.yaml")))

    assert listened("127.0.0.1", "") == ("127.0.0.1",)
    assert listened("127.0.0.1", "127.0.0.1") == ("127.0.0.1",)
    assert listened("127.0.0.1", "10.0.0.1") == ("127.0.0.1", "10.0.0.1")
    assert listened("127.0.0.1", "0.0.0.0") == ("0.0.0.0",)
    for host, listen in (("127.0.0.1", "10.0.0.1"), ("", "")):
        with pytest.raises(SettingsError, match="does not listen on"):
            hosts(host, Settings(switchyard_listen=listen))


def test_the_old_name_of_the_drain_is_still_read() -> None:
    env = {"DRAIN_SECONDS": "0", "LAME_DUCK_SECONDS": "5"}  # the shipped default, and what an operator's overlay says
    assert Settings.from_env(env).drain_seconds == 5
    assert Settings.from_env({"DRAIN_SECONDS": "2"}).drain_seconds == 2
