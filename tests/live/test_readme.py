"""The README's first block, run as it stands, against the output that it shows."""

import re
import subprocess

import pytest

from tests.live.platform import Platform
from tests.live.processes import DEADLINE, ROOT

pytestmark = pytest.mark.live

README = (ROOT / "README.md").read_text()


def commands() -> list[str]:
    """The curl commands of the first shell block."""
    block = re.search(r"```sh\n(.*?)```", README, re.DOTALL)
    assert block is not None
    return [part for part in re.split(r"\n\n", block.group(1).strip()) if part.startswith("curl")]


def outputs() -> list[str]:
    """What the text block after it shows, one part a command; ``…`` stands for what varies or is long."""
    block = re.search(r"```text\n(.*?)```", README, re.DOTALL)
    assert block is not None
    return re.split(r"\n\n", block.group(1).strip())


def test_the_readme_shows_an_output_for_each_command_before_line_30() -> None:
    assert len(commands()) == len(outputs()) == 4
    assert README[: README.index("```sh")].count("\n") < 30


CONTENT = re.compile(r'data: .*"content":"([^"]+)".*\n')
# Those of them that do not also end the stream, which the last token's may on a busy machine.
MIDDLE = re.compile(r'data: (?!.*"finish_reason":"stop").*"content":"[^"]+".*\n')


def said(text: str) -> str:
    """What the events of a stream say together; a busy machine may put two tokens into one event."""
    return "".join(CONTENT.findall(text))


def test_the_readmes_commands_print_what_it_shows(platform: Platform) -> None:
    for command, shown in zip(commands(), outputs(), strict=True):
        here = command.replace("localhost:8000", platform.url.removeprefix("http://"))
        done = subprocess.run(["bash", "-c", here], capture_output=True, text=True, timeout=DEADLINE, check=True)
        assert said(done.stdout) == said(shown), done.stdout
        printed, at = MIDDLE.sub("", done.stdout), 0
        for fragment in filter(None, (part.strip() for part in re.split(r"[…\n]", MIDDLE.sub("", shown)))):
            found = printed.find(fragment, at)
            assert found >= 0, f"{command}\nprinted, from here on, no {fragment!r}:\n{printed[at:][:2000]}"
            at = found + len(fragment)
