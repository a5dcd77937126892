"""Distributions of an environment, as a lock names them."""

import sysconfig
from pathlib import Path

import pytest

from tools.images.interpreter import SITE
from tools.images.oci import ImageError
from tools.images.packages import packages, pinned

HERE = Path(sysconfig.get_path("purelib"))


def test_a_lock_names_versions_for_this_interpreter() -> None:
    lock = """\
Some_Thing[extra]==1.2.post1 \\
    --hash=sha256:00
    # via x==3
old==1 ; python_full_version < '3.0' \\
    --hash=sha256:00
new==2 ; python_full_version >= '3.0'
"""
    assert pinned(lock) == {"some-thing": "1.2.post1", "new": "2"}


def test_an_installed_distribution_comes_with_what_runs_and_nothing_that_installs(tmp_path: Path) -> None:
    lock = tmp_path / "x.lock"
    lock.write_text("typer==" + pinned(Path("requirements/services.lock").read_text())["typer"])
    (package,) = packages(lock, HERE)
    files = list(package.files())
    paths = {entry.path for entry in files}
    assert f"{SITE}/typer/main.py" in paths
    assert not [path for path in paths if path.endswith((".pyc", "/INSTALLER", "/bin/typer"))]
    record = next(entry for entry in files if entry.path.endswith("/RECORD"))
    assert b"typer/main.py,,\n" in (record.content or b"")


def test_an_environment_that_is_not_as_the_lock_says_is_rejected(tmp_path: Path) -> None:
    lock = tmp_path / "x.lock"
    lock.write_text("typer==0.0.1\nno-such-thing==1\n")
    with pytest.raises(ImageError, match=r"not as x\.lock says \(typer .*, no-such-thing absent\): run `make setup`"):
        packages(lock, HERE)


@pytest.mark.parametrize("name", ["platform", "predictor"])
def test_images_hold_the_versions_that_tests_run(name: str) -> None:
    tested = pinned(Path("requirements/llm-cpu.lock").read_text())
    services, image = (pinned(Path(f"requirements/{one}.lock").read_text()) for one in ("services", name))
    assert image.items() <= tested.items()
    assert services.items() <= image.items()  # so that all images share the layer that holds these
