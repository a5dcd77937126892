"""What pages tell a reader to type is found by a fresh shell.

Only ``.venv`` has Python, pytest, `switchyard` and the like, so a page names their folder, or says first how a shell
finds them.
"""

import re
import sys
from pathlib import Path

import pytest

from tests.docs.pages import Page, pages

ACTIVATE = "source .venv/bin/activate"
# kubectl is the reader's own where there is one; what starts with a dot is sourced.
OF_THE_ENVIRONMENT = {path.name for path in Path(sys.executable).parent.iterdir()} - {"kubectl"}
_BLOCK = re.compile(r"^( *)```sh\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_START = re.compile(r"(?:^|\||&&|;|\$\()\s*(?:\w+=\S*\s+)*([\w.-]+)(?=\s|$)", re.MULTILINE)


def unfound(text: str) -> list[str]:
    """The commands in a page's blocks that a shell without the environment does not find, before the page says how."""
    found = []
    for block in _BLOCK.finditer(text):
        before = text[: block.start()]
        lines = re.sub(r"\\\n", " ", block[2])
        for command in _START.finditer(lines):
            said = ACTIVATE in before or ACTIVATE in lines[: command.start()]
            if command[1] in OF_THE_ENVIRONMENT and not said:
                found.append(command[1])
    return found


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_command_of_a_page_is_found_by_a_fresh_shell(page: Page) -> None:
    assert unfound(page.text) == []
    named = [code for code in page.code if re.match(r"[\w.-]+ ", code) and code.split()[0] in OF_THE_ENVIRONMENT]
    assert "how-to" not in page.name or not named or ".venv/bin/activate`" in page.text, named


def test_a_command_that_is_not_found_is_seen_wherever_it_stands() -> None:
    assert unfound("```sh\nmake up\nA=1 pytest tests | switchyard graph check -\n```\n") == ["pytest", "switchyard"]
    assert unfound("   ```sh\n   cd x && python -m y\n   ```\n") == ["python"]
    assert unfound("```sh\n.venv/bin/switchyard status  # python\n```\n") == []
    assert unfound(f"`{ACTIVATE}`\n```sh\npytest\n```\n") == []
    assert unfound(f"```sh\n{ACTIVATE}\npytest\n```\n") == []
    assert unfound(f"```sh\npytest\n{ACTIVATE}\n```\n") == ["pytest"]
