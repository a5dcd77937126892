"""What Prometheus and Alertmanager are told on one machine."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from switchyard.local.errors import LocalError
from switchyard.local.observability.addresses import Addresses
from switchyard.local.observability.configuration import Choices, alertmanager, prometheus

CONTROL = "http://127.0.0.1:1"
KEY = Path("gateway-key")
ROUTES = {
    "route": {"receiver": "tickets", "routes": [{"receiver": "pages", "matchers": ['severity="page"']}]},
    "inhibit_rules": [
        {"source_matchers": ['severity="page"'], "target_matchers": ['severity="ticket"'], "equal": ["slo"]}
    ],
    "receivers": [
        {"name": "pages", "webhook_configs": [{"url": "https://pager.example.com/secret"}]},
        {"name": "tickets"},
    ],
}


@pytest.fixture
def routes(tmp_path: Path) -> Path:
    path = tmp_path / "routes.yaml"
    path.write_text(yaml.safe_dump(ROUTES))
    return path


def checked(program: str, command: str, text: str, folder: Path) -> None:
    path = folder / "checked.yaml"
    path.write_text(text)
    found = shutil.which(program)
    assert found, f"{program} is not installed: run `make setup`"
    done = subprocess.run([found, *command.split(), str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_its_configuration_with_the_rules_as_shipped(tmp_path: Path) -> None:
    (key := tmp_path / "gateway-key").write_text("of the run")
    checked("promtool", "check config", prometheus(Addresses(), CONTROL, Choices(), key), tmp_path)


def test_alertmanager_takes_its_configuration_with_routes_and_inhibition_as_shipped(tmp_path: Path) -> None:
    (key := tmp_path / "relay-key").write_text("of the run")
    text = alertmanager("http://127.0.0.1:1/alerts", key)
    checked("amtool", "check-config", text, tmp_path)
    assert yaml.safe_load(text)["route"]


def test_the_supervisor_says_what_is_scraped_as_often_as_it_is(tmp_path: Path) -> None:
    content = yaml.safe_load(prometheus(Addresses(), CONTROL, Choices(interval="1s", rules=tmp_path), KEY))
    for followed in content["scrape_configs"][:2]:
        assert followed["http_sd_configs"] == [{"url": f"{CONTROL}/targets", "refresh_interval": "1s"}]
    assert content["global"]["scrape_interval"] == content["global"]["evaluation_interval"] == "1s"
    assert content["rule_files"] == [f"{tmp_path}/*.yaml"]


def test_the_gateway_alone_is_sent_the_key_and_nobody_to_whom_it_would_redirect() -> None:
    jobs = yaml.safe_load(prometheus(Addresses(), CONTROL, Choices(), KEY))["scrape_configs"]
    others, gateway, *own = jobs
    assert gateway["authorization"] == {"credentials_file": str(KEY)}
    assert gateway["relabel_configs"] == [{"source_labels": ["job"], "regex": "gateway", "action": "keep"}]
    assert gateway["follow_redirects"] is False
    assert others["relabel_configs"] == [{"source_labels": ["job"], "regex": "gateway", "action": "drop"}]
    assert all("authorization" not in job for job in (others, *own))


def test_every_receiver_is_the_relay_and_no_other(routes: Path) -> None:
    content = yaml.safe_load(alertmanager("http://127.0.0.1:1", KEY, routes))
    assert [receiver["name"] for receiver in content["receivers"]] == ["pages", "tickets"]
    hooks = [hook["url"] for receiver in content["receivers"] for hook in receiver["webhook_configs"]]
    assert hooks == ["http://127.0.0.1:1"] * 2
    assert content["inhibit_rules"] == ROUTES["inhibit_rules"]


def test_without_a_webhook_alerts_go_nowhere(routes: Path, tmp_path: Path) -> None:
    text = alertmanager("", KEY, routes)
    assert "example.com" not in text
    checked("amtool", "check-config", text, tmp_path)


def test_choices_are_read_from_variables() -> None:
    environ = {"SWITCHYARD_SCRAPE_INTERVAL": "1s", "SWITCHYARD_RULES": "/rules", "SWITCHYARD_ALERTS_TO": "http://a"}
    assert Choices.of(environ) == Choices(interval="1s", rules=Path("/rules"), alerts_to="http://a")
    assert "http://a" not in repr(Choices.of(environ))
    assert Choices.of({"SWITCHYARD_SCRAPE_INTERVAL": "", "SWITCHYARD_RULES": ""}) == Choices()


@pytest.mark.parametrize(
    "address",
    [
        "pager.example.com/secret",
        "http:///secret",
        "http://me:secret@pager.example.com",
        "http://a/of a secret",
    ],
)
def test_an_address_that_is_none_is_an_error_that_does_not_show_it(address: str) -> None:
    with pytest.raises(LocalError) as raised:
        Choices.of({"SWITCHYARD_ALERTS_TO": address})
    assert "http://" in str(raised.value)
    assert "secret" not in str(raised.value)
