"""The pages of docs/runbooks, as somebody who was called reads them: sections, and commands for machine and cluster."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.docs.pages import DOCS

FOLDER = DOCS / "runbooks"
INDEX = FOLDER / "README.md"
SECTIONS = ("Look", "Mend", "Silence")

_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runbook:
    """One page; the commands of ``cluster`` need one, those of ``local`` a platform that runs with ``--observe``."""

    path: Path
    text: str
    local: tuple[str, ...]
    cluster: tuple[str, ...]

    @property
    def alert(self) -> str:
        return self.path.stem

    @property
    def sections(self) -> tuple[str, ...]:
        return tuple(re.findall(r"^## (.+)$", self.text, re.MULTILINE))

    @property
    def silence(self) -> str:
        """The command that silences the alert."""
        return self.local[-1]


def read(path: Path) -> Runbook:
    """Read a page; a block belongs to a cluster where the sentence before it says so."""
    text = path.read_text()
    local, cluster = list[str](), list[str]()
    for found in _BLOCK.finditer(text):
        before = text[: found.start()].rstrip().rpartition("\n\n")[2]
        (cluster if "In a cluster" in before else local).append(found[1].strip())
    return Runbook(path=path, text=text, local=tuple(local), cluster=tuple("\n".join(cluster).splitlines()))


def runbooks() -> list[Runbook]:
    """Return the page of each alert."""
    return [read(path) for path in sorted(FOLDER.glob("*.md")) if path != INDEX]


def cluster_commands() -> Iterator[str]:
    """Yield every command for a cluster once; each of them only reads."""
    yield from dict.fromkeys(command for runbook in runbooks() for command in runbook.cluster)
