"""What local mode tells people to do: commands that the shell finds, folders that hold nothing of git's."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from switchyard.local.plan.volumes import model_storage

ROOT = Path(__file__).parents[3]
PROGRAMS = re.compile(r"`(switchyard|hf|python|pytest) ")
REFERENCE = ROOT / "switchyard" / "local" / "plan" / "fields.py"  # prints a page of docs, not advice


def sentences() -> Iterator[tuple[str, str]]:
    """Each string of local mode's code that a person may read, with its place."""
    for path in sorted((ROOT / "switchyard" / "local").rglob("*.py")):
        tree = ast.parse(path.read_text())
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        docs = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, documented)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in docs:
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node.value


def test_no_command_is_written_that_a_fresh_shell_does_not_find() -> None:
    # `program()` writes it as the shell finds it.
    reference = str(REFERENCE.relative_to(ROOT))
    assert [(at, text) for at, text in sentences() if PROGRAMS.search(text) and not at.startswith(reference)] == []


def hub_models() -> list[str]:
    patches = (ROOT / "kustomize" / "components" / "hub-models").glob("*.yaml")
    rows = (row for patch in patches for row in yaml.safe_load(patch.read_text()) if isinstance(row, dict))
    return sorted(row["value"] for row in rows if str(row.get("value", "")).startswith("hf://"))


@pytest.mark.parametrize("uri", [*hub_models(), "hf://org/chat-fast"])
def test_the_advice_for_a_model_of_the_hub_runs_here_and_writes_where_git_has_nothing(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")  # a fresh shell's
    monkeypatch.chdir(ROOT)
    problem = model_storage(uri, {"model-repository": ROOT / "model-repository"}).problem
    found = re.search(r"`(\S+) download (\S+) --local-dir (\S+)`", problem)
    assert found is not None, problem
    program, model, folder = found.groups()
    assert Path(program).resolve().name == "hf"
    assert Path(program).resolve() == Path(sys.executable).with_name("hf").resolve()
    assert Path(program).exists()
    assert f"hf://{model}" == uri
    git = ["git", "-C", str(ROOT)]
    assert subprocess.run([*git, "ls-files", folder], capture_output=True, check=True).stdout == b""
    assert subprocess.run([*git, "check-ignore", "-q", f"{folder}/config.json"], check=False).returncode == 0
    own = re.search(r"pvc://model-repository/(\S+)", problem)
    assert own is not None
    assert folder == f"model-repository/{own[1]}"
