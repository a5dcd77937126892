"""The Makefile: its list is whole, and the pages show the targets by which everything is run and tested."""

import re
import subprocess

from tests.docs.pages import ROOT, Page

MAKEFILE = (ROOT / "Makefile").read_text()


def make(*arguments: str) -> str:
    return subprocess.run(("make", *arguments), cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout


def test_help_lists_every_target_with_what_it_does() -> None:
    targets = re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE)
    listed = re.findall(r"^  make ([a-z-]+) +\S", make("help"), re.MULTILINE)

    assert listed == targets
    assert set(re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[0].split()) == set(targets)


def test_the_readme_begins_with_the_two_commands_that_do_everything() -> None:
    first = Page(ROOT / "README.md").blocks[0].splitlines()

    assert [line.partition("#")[0].strip() for line in first[:2]] == ["make up", "make test"]


def test_test_all_runs_whole_what_test_cuts_short() -> None:
    commands = make("--dry-run", "test-all").splitlines()

    assert commands[: len(make("--dry-run", "test").splitlines())] == make("--dry-run", "test").splitlines()
    workers, long = "--numprocesses=2 --dist=loadfile", "--timeout=3600 -o faulthandler_timeout=3700"
    for command in (
        "python -m tests.fuzz --minutes 10",
        "python -m tests.differential --cases 2000 --seed $RANDOM",
        f'pytest {workers} {long} -m "hypothesis and not live and not cluster" --hypothesis-profile=all',
        f'pytest {long} -m "hypothesis and live" --hypothesis-profile=all',
        f"pytest {long} -m long",
        "python -m benchmarks.floods --check",
        "python -m benchmarks.tenancy.kills --check",
    ):
        assert command in commands


def test_contributing_shows_every_target_that_checks() -> None:
    shown = set(re.findall(r"^make ([a-z-]+)", Page(ROOT / "CONTRIBUTING.md").blocks[0], re.MULTILINE))

    assert set(re.findall(r"^((?:test|check|fuzz)[a-z-]*):", MAKEFILE, re.MULTILINE)) <= shown
