"""Who follows docs/how-to/add-a-tenant.md line by line sees what it shows: two tenants, every official client."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.docs.following import blocks, copy_of_the_tree, follow
from tests.live.platform import STATE_VARIABLE
from tests.live.processes import ROOT
from tests.ports import free_port

pytestmark = pytest.mark.live

ZONE = "Europe/Berlin"  # of the page's tenant
PAGE = ROOT / "docs/how-to/add-a-tenant.md"
SECONDS = 400.0  # of all that the page has a reader do, on a busy machine
END = "=== end of a block ==="


class Reader:
    """A person in a copy of the tree, whose shells find the environment's programs and a gateway on a free port."""

    def __init__(self, folder: Path) -> None:
        self.tree = copy_of_the_tree(folder)
        shutil.rmtree(self.tree / "model-repository")  # of links, which lead out of the claim
        (self.tree / "model-repository").symlink_to(ROOT / "model-repository")
        self._port = free_port()
        self._env = {
            **os.environ,
            "PYTHONPATH": str(self.tree),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "SWITCHYARD_PORT": str(self._port),
            STATE_VARIABLE: str(folder / "state"),
        }

    def types(self, shell: str) -> str:
        """What a shell prints that runs these commands and ends at the first that fails."""
        done = subprocess.run(
            ["bash", "-ec", self.here(shell)],
            cwd=self.tree,
            env=self._env,
            capture_output=True,
            start_new_session=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def here(self, text: str) -> str:
        """The text with the gateway's address in place of the page's."""
        return text.replace("localhost:8000", f"localhost:{self._port}")


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    made = Reader(tmp_path)
    try:
        yield made
    finally:
        made.types("switchyard down")


def shown(texts: str) -> str:
    """A pattern of what a block shows; ``…`` stands for what varies."""
    return ".*".join(map(re.escape, texts.strip().split("…")))


def steps(page: Path) -> list[tuple[str, str]]:
    """The commands of the page in order, each with the output that the page shows after it, if any."""
    found: list[tuple[str, str]] = []
    for block in blocks(page):
        if block.language == "sh":
            found.append((block.text, ""))
        elif block.language == "text":
            found[-1] = found[-1][0], block.text
    return found


def test_two_tenants_call_with_every_official_client_until_one_has_used_up_its_budget(reader: Reader) -> None:
    create, *rest = steps(PAGE)
    follow(PAGE, reader.tree)
    tenants, keys = reader.tree / "kustomize/overlays/local/tenants.yaml", []
    for number, command in enumerate(create[0].splitlines()):
        key, *entry = reader.types(command).splitlines()
        (digest,) = re.findall(r'sha256: "(\w{64})"', "\n".join(entry))
        tenants.write_text(tenants.read_text().replace(str(number) * 64, digest))
        keys.append(key)
    if datetime.now(ZoneInfo(ZONE)).hour == 23:  # the day, and with it the budget, would begin anew meanwhile
        tenants.write_text(tenants.read_text().replace(ZONE, "America/New_York"))
    for program in (reader.tree / "ask").iterdir():
        program.write_text(reader.here(program.read_text()))

    session = f"\necho '{END}'\n".join(commands for commands, _ in rest)
    for key in keys:
        session = session.replace("sy-…", key, 1)
    outputs = reader.types(session).split(END)
    for (commands, text), output in zip(rest, outputs, strict=True):
        assert not text or re.fullmatch(shown(text), output.strip()), f"{commands}\nprinted:\n{output}"
    (listed,) = (output for (commands, _), output in zip(rest, outputs, strict=True) if "/v1/models" in commands)
    assert set(re.findall(r'"id":"([\w-]+)"', listed)) == {"chat-fast", "chat-reasoning", "auto"}
    (bill,) = (output for (commands, _), output in zip(rest, outputs, strict=True) if "for_the_bill" in commands)
    assert all(float(number) > 0 for number in re.findall(r"[\d.]+", bill)), bill
