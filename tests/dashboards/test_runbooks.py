"""Each alert has a runbook and each runbook its alert; what it has a person type is what the programs take."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.dashboards.runbooks import INDEX, SECTIONS, Runbook, cluster_commands, read, runbooks
from tests.docs.pages import ROOT
from tests.ports import free_port

LINES = 40  # a page is read by somebody who was woken
READS = {"get", "describe", "logs", "top", "rollout", "exec"}
ALL = pytest.mark.parametrize("runbook", runbooks(), ids=lambda runbook: runbook.alert)


def alerts() -> Iterator[dict[str, Any]]:
    """Every alert, as Prometheus reads it."""
    for path in (ROOT / "dashboards/rules").glob("*.yaml"):
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from (rule for rule in group["rules"] if "alert" in rule)


def test_each_alert_has_its_runbook_and_each_runbook_its_alert() -> None:
    assert {rule["alert"] for rule in alerts()} == {runbook.alert for runbook in runbooks()}


def test_each_alert_leads_to_its_own_runbook() -> None:
    elsewhere = {
        rule["alert"]: rule["annotations"]["runbook_url"]
        for rule in alerts()
        if not rule["annotations"]["runbook_url"].endswith(f"docs/runbooks/{rule['alert']}.md")
    }
    assert elsewhere == {}


@ALL
def test_a_page_is_short_and_has_what_a_person_needs_in_order(runbook: Runbook) -> None:
    assert runbook.text.startswith(f"# {runbook.alert}\n\n**"), "what it means comes first"
    assert runbook.sections == SECTIONS
    assert runbook.text.count("\n") <= LINES
    assert len(runbook.local) == 2, "how to look, and how to silence, on one machine"


@ALL
def test_a_page_silences_its_own_alert_for_a_while(runbook: Runbook) -> None:
    words = shlex.split(runbook.silence)

    assert words[:4] == ["amtool", "silence", "add", f"alertname={runbook.alert}"]
    assert any(word.startswith("--duration=") for word in words)
    assert any(word.startswith("--comment=") for word in words)


@ALL
def test_what_is_looked_for_in_logs_is_written_as_lines_are_without_blanks(runbook: Runbook) -> None:
    assert re.findall(r'"\w+\\?": ', "\n".join(runbook.local)) == []


@ALL
def test_commands_for_a_cluster_are_kubectls_and_change_nothing(runbook: Runbook) -> None:
    for command in runbook.cluster:
        program, *rest = shlex.split(command)
        words = [word for number, word in enumerate(rest) if word[0] != "-" and rest[number - 1] != "-n"]
        assert program == "kubectl"
        assert words[0] in READS, command
        assert words[0] != "rollout" or words[1] == "status", command


def test_the_index_lists_every_page() -> None:
    linked = re.findall(r"\((\w+)\.md\)", INDEX.read_text())

    assert sorted(linked) == [runbook.alert for runbook in runbooks()]


def test_kubectl_takes_every_command_for_a_cluster(tmp_path: Path) -> None:
    commands = [*cluster_commands(), *read(INDEX).cluster]
    with ThreadPoolExecutor(4) as pool:
        said = dict(zip(commands, pool.map(lambda command: _without_cluster(command, tmp_path), commands), strict=True))

    # It asks the API server, which is not there, once it has understood what it is to ask.
    assert {command: text for command, text in said.items() if "was refused" not in text} == {}


def _without_cluster(command: str, home: Path) -> str:
    program, *rest = shlex.split(command)
    done = subprocess.run(
        [program, f"--server=http://127.0.0.1:{free_port()}", *rest],
        env={"PATH": os.environ["PATH"], "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0, command
    return done.stderr
