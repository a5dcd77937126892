"""Does what a how-to page says: its blocks become files and changes of a copy of the tree.

A block belongs to the file that the text before it names as ``In `path```. A ``diff`` block changes that file, with as
much around the change as makes the place plain; ``@@`` parts two places. Any other is the whole file.
"""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.docs.pages import ROOT

COPIED = ("benchmarks", "dashboards", "docs", "kustomize", "manifests", "predictors", "switchyard", "tests", "tools")
LINKED = ("pyproject.toml", "Makefile", "README.md", "CONTRIBUTING.md")

_BLOCK = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"\bIn\s+`([\w./-]+)`")


@dataclass(frozen=True)
class Block:
    """A fenced block; ``file`` is empty where it changes none."""

    language: str
    text: str
    file: str


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of a page in order."""
    text, end = page.read_text(), 0
    for found in _BLOCK.finditer(text):
        named = _FILE.findall(text[end : found.start()])
        indent = len(found["indent"])
        lines = [line[indent:] for line in found["text"].splitlines()]
        yield Block(found["language"], "\n".join(lines) + "\n", named[-1] if named else "")
        end = found.end()


def copy_of_the_tree(folder: Path) -> Path:
    """A copy that pages may change; what is heavy is linked."""
    tree = folder / "tree"
    for name in COPIED:
        shutil.copytree(ROOT / name, tree / name)  # with what is compiled: it is kept by time and size
    for name in LINKED:
        (tree / name).symlink_to(ROOT / name)
    (tree / "model-repository").mkdir()
    for path in (ROOT / "model-repository").iterdir():
        (tree / "model-repository" / path.name).symlink_to(path)
    return tree


def follow(page: Path, tree: Path) -> list[str]:
    """Make every change of a page and return the files that it names."""
    files = []
    for block in blocks(page):
        if block.file:
            path = tree / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(changed(path.read_text(), block.text) if block.language == "diff" else block.text)
            files.append(block.file)
    return files


def changed(text: str, diff: str) -> str:
    """``text`` with a diff applied; every place must be found once."""
    for part in diff.split("@@\n"):
        lines = [line if line != "\n" else " \n" for line in part.splitlines(keepends=True)]
        old = "".join(line[1:] for line in lines if line[0] in " -")
        new = "".join(line[1:] for line in lines if line[0] in " +")
        assert text.count(old) == 1, f"is {text.count(old)} times in the file:\n{old}"
        text = text.replace(old, new)
    return text
