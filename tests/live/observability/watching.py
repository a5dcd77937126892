"""A real Prometheus and a real Alertmanager with the rules as shipped, on free ports, by a clock of their own."""

import json
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from dashboards.alerting import files, slos
from dashboards.alerting.rules import Clock, rule_file
from tests.live.processes import ROOT, eventually
from tests.ports import free_port

PROMETHEUS, ALERTMANAGER = "prometheus", "prometheus-alertmanager"  # as Debian's packages call them
START_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is scraped under one name: ``targets`` with labels each, or what ``found_at`` lists for http_sd."""

    name: str
    targets: Sequence[tuple[str, Mapping[str, str]]] = ()
    found_at: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    def configuration(self) -> dict[str, Any]:
        static = [
            {"targets": [address], "labels": {"namespace": "local", **labels}} for address, labels in self.targets
        ]
        found = [{"url": self.found_at, "refresh_interval": "1s"}] if self.found_at else []
        return {"job_name": self.name, "static_configs": static, "http_sd_configs": found, **self.options}


class Watch:
    """Prometheus and Alertmanager, which tells ``receivers`` (name to URL) as ``routes`` say, while the block lasts.

    ``clock`` is that of its rules, which are otherwise those that are shipped; ``scrape`` is in seconds.
    """

    def __init__(self, folder: Path, webhook: str, jobs: Sequence[Job], *, clock: Clock, scrape: float = 1.0) -> None:
        self._folder = folder
        self._clock = clock
        self._webhook = webhook
        self._jobs = jobs
        self._scrape = scrape
        self._stack = ExitStack()
        self._ports = {program: free_port() for program in (PROMETHEUS, ALERTMANAGER, "cluster")}
        self.url = f"http://127.0.0.1:{self._ports[PROMETHEUS]}"
        self.alertmanager = f"http://127.0.0.1:{self._ports[ALERTMANAGER]}"
        self.rules = folder / "rules"

    def __enter__(self) -> "Watch":
        with ExitStack() as stack:
            self._write()
            self._start(stack, ALERTMANAGER, self._alertmanager_flags(), f"{self.alertmanager}/-/ready")
            self._start(stack, PROMETHEUS, self._prometheus_flags(), f"{self.url}/-/ready")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self._stack.close()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the rows of an instant query."""
        asked = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"{self.url}/api/v1/query?{asked}", timeout=30) as response:
            rows: list[dict[str, Any]] = json.load(response)["data"]["result"]
        return rows

    def value(self, expression: str) -> float:
        """Return the one value of a query; NaN without one."""
        rows = self.query(expression)
        return float(rows[0]["value"][1]) if rows else float("nan")

    def inhibited(self) -> list[dict[str, str]]:
        """Return the labels of the alerts that Alertmanager has and keeps back, as another one says enough."""
        asked = f"{self.alertmanager}/api/v2/alerts?active=false&silenced=false&inhibited=true"
        with urllib.request.urlopen(asked, timeout=30) as response:
            return [alert["labels"] for alert in json.load(response)]

    def add_rule(self, expression: str) -> None:
        """Have Prometheus evaluate one more rule, in a group of its own."""
        group = {"name": "added", "interval": "1s", "rules": [{"record": "added", "expr": expression}]}
        (self.rules / "added.yaml").write_text(yaml.safe_dump({"groups": [group]}))
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/-/reload", method="POST"), timeout=30).close()

    def logs(self) -> str:
        return "\n".join(f"--- {log.name}\n{log.read_text()[-3000:]}" for log in sorted(self._folder.glob("*.log")))

    def _write(self) -> None:
        self.rules.mkdir(parents=True)
        promised = slos.read(ROOT / "dashboards/slos.yaml")
        for name, groups in files.groups(promised).items():
            rules = rule_file(groups, promised.runbooks, self._clock)
            (self.rules / f"{name}.yaml").write_text(yaml.safe_dump(rules, sort_keys=False))
        own = [
            Job(name="prometheus", targets=[(self.url.removeprefix("http://"), {})]),
            Job(name="alertmanager", targets=[(self.alertmanager.removeprefix("http://"), {})]),
        ]
        configuration = {
            "global": {"scrape_interval": f"{self._scrape:g}s", "scrape_timeout": f"{self._scrape:g}s"},
            "rule_files": [f"{self.rules}/*.yaml"],
            "alerting": {
                "alertmanagers": [{"static_configs": [{"targets": [self.alertmanager.removeprefix("http://")]}]}]
            },
            "scrape_configs": [job.configuration() for job in (*own, *self._jobs)],
        }
        (self._folder / "prometheus.yml").write_text(yaml.safe_dump(configuration, sort_keys=False))
        (self._folder / "alertmanager.yml").write_text(yaml.safe_dump(self._alerting(), sort_keys=False))

    def _alerting(self) -> dict[str, Any]:
        """Return Alertmanager's configuration as shipped, with the test's receiver, by the clock.

        Who is told of the watchdog has a second address, at which nobody listens.
        """
        content: dict[str, Any] = yaml.safe_load((ROOT / "dashboards/alertmanager.yaml").read_text())
        for receiver in content["receivers"]:
            for hook in receiver.get("webhook_configs", ()):
                hook.pop("url_file", None)
                hook["url"] = self._webhook
            if receiver["name"] == "watchdog":
                receiver["webhook_configs"].append({"url": f"http://127.0.0.1:{free_port()}/"})
        _scale(content["route"], self._clock)
        return content

    def _prometheus_flags(self) -> list[str]:
        data = f"--storage.tsdb.path={self._folder / 'data'}"
        listen = f"--web.listen-address=127.0.0.1:{self._ports[PROMETHEUS]}"
        return [f"--config.file={self._folder / 'prometheus.yml'}", data, listen, "--web.enable-lifecycle"]

    def _alertmanager_flags(self) -> list[str]:
        listen = f"--web.listen-address=127.0.0.1:{self._ports[ALERTMANAGER]}"
        data = f"--storage.path={self._folder / 'silences'}"
        return [f"--config.file={self._folder / 'alertmanager.yml'}", data, listen, "--cluster.listen-address="]

    def _start(self, stack: ExitStack, program: str, flags: list[str], ready: str) -> None:
        found = shutil.which(program)
        assert found, f"{program} is not on PATH: `make setup` installs it"
        log = self._folder / f"{program}.log"
        with log.open("wb") as file:
            process = subprocess.Popen([found, *flags], stdout=file, stderr=subprocess.STDOUT)
        stack.callback(process.wait)
        stack.callback(process.terminate)
        eventually(lambda: process.poll() is not None or _responds(ready), f"{program}: {log}", START_SECONDS)
        assert process.poll() is None, log.read_text()[-3000:]


def _scale(route: dict[str, Any], clock: Clock) -> None:
    for name in ("group_wait", "group_interval", "repeat_interval"):
        if name in route:
            route[name] = clock.duration(route[name])
    for child in route.get("routes", ()):
        _scale(child, clock)


def _responds(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False
