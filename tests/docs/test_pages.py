"""What pages name is there: pages, links, anchors, files, modules, commands, make targets."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.main import get_command

from switchyard.cli.app import app
from switchyard.telemetry import attributes
from tests.docs.following import blocks
from tests.docs.pages import DOCS, ROOT, Page, pages

ALL = pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
FOLDERS = "|".join(sorted(path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")))
FILE = re.compile(rf"(?:\.ci|{FOLDERS})/[\w./-]+")
MODULE = re.compile(r"(?:switchyard|predictors|benchmarks|tools|tests)(?:\.[a-z]\w*)+")
# Images, what is built, and what a reader makes.
NO_FILES = re.compile(r"benchmarks/results|switchyard/(?:platform|router|predictor(?:-gpu)?|triton)|build/.*|.*/my-.*")


def reached(start: Path) -> set[Path]:
    found: set[Path] = set()
    waiting = [start]
    while waiting:
        path = waiting.pop()
        if path in found or path.suffix != ".md" or not path.exists():
            continue
        found.add(path)
        waiting += [target for target, _ in Page(path).links]
    return found


def test_every_page_is_reached_from_the_index() -> None:
    assert {page.path for page in pages() if page.path.is_relative_to(DOCS)} - reached(DOCS / "README.md") == set()


def test_every_decision_is_in_the_index_in_order() -> None:
    linked = re.findall(r"\(decisions/(\d{4}[^)]+)\)", (DOCS / "README.md").read_text())

    assert linked == sorted(path.name for path in (DOCS / "decisions").glob("*.md"))


def test_what_is_told_in_private_goes_where_every_repository_has_a_form_and_to_no_invented_address() -> None:
    conduct, contributing = (Page(ROOT / name) for name in ("CODE_OF_CONDUCT.md", "CONTRIBUTING.md"))

    assert (contributing.path, "telling-us-in-private") in list(conduct.links)
    assert "*Report a vulnerability*" in " ".join(contributing.text.split("## Telling us in private")[1].split())
    assert [
        page.name for page in pages() if re.search(r"mailto:|\b[\w.]+@(?!example\.)[\w-]+\.\w+\b", page.prose)
    ] == []


@ALL
def test_every_link_leads_to_a_file_and_every_anchor_to_a_heading(page: Page) -> None:
    broken = [f"{target}#{anchor}" for target, anchor in page.links if not target.exists()]
    broken += [
        f"{target}#{anchor}"
        for target, anchor in page.links
        if anchor and target.suffix == ".md" and anchor not in Page(target).anchors
    ]
    assert broken == []


@ALL
def test_every_file_that_is_named_exists(page: Page) -> None:
    made = {block.file for block in blocks(page.path)}  # by a reader
    named = {match for code in page.code if (match := code.rstrip("/")) and FILE.fullmatch(match)} - made

    assert [name for name in sorted(named) if not (ROOT / name).exists() and not NO_FILES.fullmatch(name)] == []


SPAN_ATTRIBUTES = {value for value in vars(attributes).values() if isinstance(value, str)}


@ALL
def test_every_module_that_is_named_exists(page: Page) -> None:
    made = {str(Path(block.file).parent).replace("/", ".") for block in blocks(page.path)}
    named = {code for code in page.code if MODULE.fullmatch(code)} - SPAN_ATTRIBUTES
    for text in [*page.code, *page.blocks]:
        named |= {name for name in re.findall(r"python -m ([\w.]+)", text) if MODULE.fullmatch(name)}

    assert [name for name in sorted(named - made) if not exists(name)] == []


def exists(name: str) -> bool:
    """Whether a dotted name is a module, or an attribute of one."""
    parent, _, last = name.rpartition(".")
    try:
        if find_spec(name) is not None:
            return True
    except ModuleNotFoundError:
        pass
    file = ROOT / parent.replace(".", "/")
    files = [file.with_suffix(".py"), file / "__init__.py"]
    return any(re.search(rf"\b{last}\b", one.read_text()) for one in files if one.exists())


@ALL
def test_every_make_target_that_is_named_exists(page: Page) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = "\n".join([*page.code, *page.blocks])
    named = {
        word for line in re.findall(r"(?:^|`|&& )make ((?:[a-z-]+ ?)+)", text, re.MULTILINE) for word in line.split()
    }

    assert named - targets == set()


@ALL
def test_every_switchyard_command_that_is_named_exists(page: Page) -> None:
    root = get_command(app)
    unknown = []
    for line in [*page.code, *"\n".join(page.blocks).splitlines()]:
        for words in re.findall(r"(?:^|\| |/)switchyard ((?:[a-z]+ ?){1,2})", line):
            first, *rest = words.split()
            commands = getattr(root, "commands", {})
            if first not in commands or (
                rest and hasattr(commands[first], "commands") and rest[0] not in commands[first].commands
            ):
                unknown.append(words)
    assert unknown == []
