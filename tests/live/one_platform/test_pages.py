"""What the quickstart and the page on graphs tell a reader to ask is answered, as it stands."""

import re
import subprocess
import sys

import pytest

from tests.live.platform import Platform
from tests.live.processes import DEADLINE, ROOT

pytestmark = pytest.mark.live

QUICKSTART = (ROOT / "docs/quickstart.md").read_text()
GRAPHS = (ROOT / "docs/how-to/add-a-graph.md").read_text().split("## Write one")[0]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def asked(page: str) -> list[str]:
    """The commands of a page that ask the gateway something."""
    parts = [part for block in blocks(page, "sh") for part in block.strip().split("\n\n")]
    return [part for part in parts if re.search(r"curl .*localhost:8000", part)]


def run(platform: Platform, *command: str) -> str:
    address = platform.url.removeprefix("http://")
    here = [word.replace("localhost:8000", address).replace("curl ", "curl --fail-with-body -S ") for word in command]
    done = subprocess.run(here, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 0, f"{here}\n{done.stdout}{done.stderr}"
    return done.stdout


def answered(platform: Platform, page: str, says: list[str]) -> None:
    for command, words in zip(asked(page), says, strict=True):
        assert words in run(platform, "bash", "-o", "pipefail", "-c", command)


def test_what_the_quickstart_asks_is_answered(platform: Platform) -> None:
    answered(platform, QUICKSTART, ['"id":"auto"', " answer", "The answer is 42.", '"embedding":[', "\n"])


def test_the_quickstarts_program_prints_the_answer(platform: Platform) -> None:
    (program,) = blocks(QUICKSTART, "python")
    assert "42" in run(platform, sys.executable, "-c", program)


def test_what_the_page_on_graphs_asks_is_answered(platform: Platform) -> None:
    answered(platform, GRAPHS, ["x-switchyard-tier: ", '"text_output"', '"labels":[', " 19"])
