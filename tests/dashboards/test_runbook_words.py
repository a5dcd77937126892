"""What a runbook has a person look for is there: metrics of its queries, phrases of logs, commands of its sentences."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest
from typer.main import get_command

from dashboards.promql import selectors
from switchyard.cli.app import app
from tests.dashboards.families import known
from tests.dashboards.runbooks import INDEX, Runbook, runbooks
from tests.docs.pages import ROOT, Page

ALL = pytest.mark.parametrize("runbook", runbooks(), ids=lambda runbook: runbook.alert)
_SOURCES = ("switchyard", "predictors")


def lines(runbook: Runbook) -> Iterator[str]:
    """Yield each command of a page for one machine, with something in place of its variables."""
    for block in runbook.local:
        for line in block.splitlines():
            yield re.sub(r"\$[A-Z]+", "x", line)


def queries(runbook: Runbook) -> Iterator[str]:
    for line in lines(runbook):
        words = shlex.split(line)
        if words[:3] == ["promtool", "query", "instant"]:
            yield words[4]


def patterns(line: str) -> Iterator[str]:
    """Yield what a command has ``grep`` look for in logs."""
    if "switchyard logs" not in line:
        return
    for part in line.split(" | grep ")[1:]:
        words = [word for word in shlex.split(re.split(r" \|+ | > ", part)[0]) if word[0] != "-"]
        yield from words


def test_all_queries_and_patterns_are_read() -> None:
    assert len([text for runbook in runbooks() for line in lines(runbook) for text in patterns(line)]) > 20
    written = sum(line.count("promtool query") for runbook in runbooks() for line in lines(runbook))
    assert written == sum(len([*queries(runbook)]) for runbook in runbooks()) > len(runbooks())


@ALL
def test_a_query_asks_for_metrics_that_exist(runbook: Runbook) -> None:
    missing = [name for query in queries(runbook) for one in selectors(query) for name in _unknown(one)]

    assert missing == []


def _unknown(selector: promql_parser.VectorSelector) -> Iterator[str]:
    if selector.name:
        yield from {selector.name} - known().keys()
        return
    for matcher in selector.matchers.matchers:
        if matcher.name == "__name__":
            alternatives = matcher.value.split("|")
            yield from (one for one in alternatives if not any(re.fullmatch(one, name) for name in known()))


@pytest.fixture(scope="module")
def source() -> str:
    """All code that writes logs; a text over several lines is one."""
    code = "\n".join(path.read_text() for folder in _SOURCES for path in sorted((ROOT / folder).rglob("*.py")))
    return re.sub(r'"\s*\n\s*f?"', "", code)


@ALL
def test_what_is_looked_for_in_logs_is_written_there(runbook: Runbook, source: str) -> None:
    commands = [*lines(runbook), *Page(runbook.path).code]
    missing = [text for line in commands for text in patterns(line) if not _written(text, source)]

    assert missing == []


def _written(pattern: str, source: str) -> bool:
    """Whether lines have each field and phrase that a pattern is made of."""
    fields = re.findall(r'"(\w+)":', pattern)
    if fields:
        return all(re.search(rf"[\"']{name}[\"']|\b{name}=", source) for name in fields)
    return pattern == "x" or pattern.lower() in source.lower()


def code() -> list[tuple[str, str]]:
    """Every command that stands in a sentence of a page: the page, and the words."""
    paths = (INDEX, *(runbook.path for runbook in runbooks()))
    texts = [(path.stem, text) for path in paths for text in Page(path).code]
    return [(page, text) for page, text in texts if text.startswith(("switchyard ", "kubectl "))]


def test_kubectl_has_the_verbs_of_sentences() -> None:
    found = {shlex.split(text)[1] for _, text in code() if text.startswith("kubectl ") and text.split()[1] != "-n"}
    found |= {shlex.split(text)[3] for _, text in code() if text.startswith("kubectl -n ")}

    for verb in sorted(found):
        assert subprocess.run(["kubectl", verb, "--help"], capture_output=True, check=False).returncode == 0, verb
    assert {"apply", "rollout"} <= found


def test_switchyard_has_the_commands_and_flags_of_sentences() -> None:
    found = [(page, text) for page, text in code() if text.startswith("switchyard ")]

    assert [one for one in found if not _taken(one[1])] == []
    assert len(found) > len(runbooks()) / 3
    assert not _taken("switchyard model unlaod NAME")
    assert not _taken("switchyard status --slow")


def _taken(text: str) -> bool:
    """Whether `switchyard` has the command that a text begins with, and its flags."""
    words = shlex.split(text.partition(" | ")[0])[1:]
    command: Any = get_command(app)
    for word in words:
        if not hasattr(command, "commands") or word.startswith("-"):
            break
        if word not in command.commands:
            return False
        command = command.commands[word]
    taken = {name for parameter in command.params for name in parameter.opts}
    return {word.partition("=")[0] for word in words if word.startswith("--")} <= taken
