"""The whole platform as its user starts it: the repository's local overlay on free ports, by ``switchyard up``."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.platform import write_overlay
from switchyard.local.processes.identities import RUN_VARIABLE
from tests.live.processes import DEADLINE, KEY, ROOT, eventually, fetch
from tests.ports import free_port

SWITCHYARD = Path(sys.executable).with_name("switchyard")
STATE_VARIABLE = "SWITCHYARD_STATE_DIR"
TAIL = 5000

LANGUAGE_MODELS = ["chat-fast", "chat-reasoning", "embed"]
GRAPHS = ["auto", "canary", "read-photo", "two-readers"]
VISION_MODELS = sorted(path.parent.name for path in (ROOT / "model-repository/vision").glob("*/config.pbtxt"))


class Platform:
    """Models behind ports of their own, run from ``folder``; ``up`` may be called again after an end.

    They are those of the project at ``root``, by default this repository's. ``printed`` is what the last ``up`` said.
    ``variables`` are added to the environment of all of it.
    """

    def __init__(
        self, folder: Path, *, window: str, root: Path = ROOT, variables: Mapping[str, str] | None = None
    ) -> None:
        self._variables = variables or {}
        self.root = root
        self.state = folder / "state"
        self.http, self.grpc = free_port(), free_port()
        self.url, self.grpc_target = f"http://127.0.0.1:{self.http}", f"127.0.0.1:{self.grpc}"
        self.overlay = folder / "overlay"
        self.printed = ""
        self._runs = set[str]()
        self.overlay.mkdir()
        write_overlay(self.overlay, http=self.http, grpc=self.grpc, window=window)

    def up(self, *arguments: str) -> None:
        """Starts everything; returns once the gateway answers."""
        done = self.command("up", str(self.overlay), "--detach", *arguments)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{self.logs()}"
        self.printed = done.stdout

    def down(self) -> None:
        """Stops everything; whatever is left then is a fault. What metrics said is kept, as the logs are."""
        self._keep_metrics()
        done = self.command("down")
        assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{self.logs()}"
        eventually(lambda: not self.processes(), f"nothing runs any more, but {self.processes()} do")

    def _keep_metrics(self) -> None:
        with suppress(OSError):  # nothing runs any more
            pages = [fetch(f"{url}/metrics")[1] for url in (self.url, self.record()["control"])]
            with (self.state / "metrics.txt").open("ab") as file:
                file.write(b"".join(pages))

    def close(self) -> None:
        """Ends what a failed test may have left, so that the next one starts clean."""
        self.command("down")
        for pid in self.processes():
            os.kill(pid, 9)

    def command(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Runs ``switchyard argv…`` as from a terminal of its own."""
        return subprocess.run(
            [str(SWITCHYARD), *argv],
            cwd=self.root,
            env=self.environment(),
            capture_output=True,
            text=True,
            start_new_session=True,
            timeout=DEADLINE,
            check=False,
        )

    def environment(self) -> dict[str, str]:
        return {**os.environ, STATE_VARIABLE: str(self.state), "COLUMNS": "200", **self._variables}

    def processes(self) -> list[int]:
        """Everything alive that was started for this platform, whoever its parent is: children inherit the marker.

        Triton and its models keep of their environment no more than the marker of the run.
        """
        found = [(process.pid, _environ(process)) for process in psutil.process_iter()]
        mine = [environ for _, environ in found if environ.get(STATE_VARIABLE) == str(self.state)]
        self._runs |= {environ[RUN_VARIABLE] for environ in mine if RUN_VARIABLE in environ}
        return [
            pid
            for pid, environ in found
            if environ.get(STATE_VARIABLE) == str(self.state) or environ.get(RUN_VARIABLE) in self._runs
        ]

    def record(self) -> dict[str, Any]:
        """What the run directory says about the run."""
        row: dict[str, Any] = json.loads((self.state / "run.json").read_text())
        return row

    def row(self, name: str) -> dict[str, Any]:
        """What the supervisor says about one process."""
        row: dict[str, Any] = json.loads(fetch(f"{self.record()['control']}/status")[1])[name]
        return row

    def model(self, name: str) -> dict[str, Any]:
        """What a client sees of a model."""
        rows = json.loads(fetch(f"{self.url}/v1/models")[1])["data"]
        found: dict[str, Any] = next(row for row in rows if row["id"] == name)
        return found

    def predictor_url(self, name: str) -> str:
        """The activator's door of a model, which shows the predictor's own metrics."""
        catalog = json.loads((self.state / "catalog.json").read_text())
        return str(next(row for row in catalog["models"] if row["name"] == name)["url"])

    def logs(self) -> str:
        """The ends of all logs: gateway, supervisor, preloaded parent and predictors."""
        texts = [f"--- {log.name}\n{log.read_text()[-TAIL:]}" for log in sorted((self.state / "logs").glob("*.log"))]
        return "\n".join(texts) or "(no logs)"


@contextmanager
def running(
    folder: Path, *arguments: str, window: str = "600s", variables: Mapping[str, str] | None = None
) -> Iterator[Platform]:
    """A platform that is up, with ``arguments`` of the command, and down afterwards with nothing left."""
    made = Platform(folder, window=window, variables=variables)
    try:
        made.up(*arguments)
        yield made
        made.down()
    finally:
        made.close()


def metric(url: str, name: str, *labels: str) -> float:
    """The sum of the samples of a metric at ``url`` that carry all ``labels``, each written ``key="value"``."""
    lines = fetch(f"{url}/metrics")[1].decode().splitlines()
    rows = [row for row in lines if row.partition("{")[0].split()[:1] == [name] and all(one in row for one in labels)]
    return sum(float(row.rpartition(" ")[2]) for row in rows)


def http_client(platform: Platform) -> httpx.Client:
    """A plain client of the one base URL; a connection that does not answer in time is a failure of the test.

    It sends ``KEY``, which no error may show.
    """
    return httpx.Client(
        base_url=platform.url,
        headers={"authorization": f"Bearer {KEY}"},
        timeout=DEADLINE,
        trust_env=False,
        event_hooks={"response": [_shows_no_key]},
    )


def _shows_no_key(response: httpx.Response) -> None:
    if response.is_error:
        assert KEY not in f"{response.headers} {response.read().decode(errors='replace')}"


def _environ(process: psutil.Process) -> dict[str, str]:
    try:
        return dict(process.environ())
    except psutil.Error:  # it has ended, or is another user's
        return {}
