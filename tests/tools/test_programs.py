"""Go programs that are built once, and kept by version."""

from pathlib import Path

import pytest

from tools.observability import __main__ as observability
from tools.programs import Program, build_missing, digest
from tools.shell import CommandError, run

SOURCE = 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Println("built") }\n'


@pytest.fixture
def program(tmp_path: Path) -> Program:
    folder = tmp_path / "greeter"
    folder.mkdir()
    (folder / "go.mod").write_text("module switchyard.test/greeter\n\ngo 1.26\n")
    (folder / "main.go").write_text(SOURCE)
    return Program(name="greet", kept=tmp_path / "kept", sources=folder)


def test_a_program_is_built_once_and_nothing_but_it_is_kept(program: Program) -> None:
    assert list(build_missing([program])) == ["greet"]
    assert run(program.path) == "built\n"
    assert list(build_missing([program])) == []
    files = [path for path in program.kept.rglob("*") if path.is_file()]
    assert files == [program.path]


def test_another_source_is_another_version_but_for_its_tests(program: Program) -> None:
    assert program.sources is not None
    before = program.version
    (program.sources / "main_test.go").write_text("package main\n")
    assert digest(program.sources) == before
    (program.sources / "main.go").write_text(SOURCE.replace("built", "again"))
    assert program.version != before


def test_a_program_that_does_not_build_is_an_error_with_what_go_says(program: Program) -> None:
    assert program.sources is not None
    (program.sources / "main.go").write_text("package main\n\nfunc main() { nothing() }\n")
    with pytest.raises(CommandError, match="undefined: nothing"):
        list(build_missing([program]))
    assert not program.path.exists()


def test_checkouts_share_what_one_of_them_built(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shared, kept = tmp_path / "shared", program.kept
    program.path.parent.mkdir(parents=True)
    program.path.write_text("#!/bin/sh\necho built\n")
    program.path.chmod(0o755)
    monkeypatch.setattr(observability, "ALL", (program,))
    monkeypatch.setattr(observability, "_SHARED", shared)
    monkeypatch.setattr(observability, "KEPT", kept)
    assert observability.main() == 0
    program.path.unlink()

    assert observability.main() == 0
    assert run(kept / "bin/greet") == "built\n"
    assert capsys.readouterr().out == ""
