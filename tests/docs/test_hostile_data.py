"""docs/concepts/hostile-data.md names the versions that run."""

import re

from tests.docs.pages import DOCS, ROOT

PAGE = (DOCS / "concepts" / "hostile-data.md").read_text()
LOCKED = {
    path.name: dict(re.findall(r"^([\w.-]+)==(\S+)", path.read_text(), re.M))
    for path in ROOT.glob("requirements/*.lock")
}
ROWS = re.findall(r"^\| `([\w-]+)`[^|]*\| (\d[\w.]*) \|", PAGE, re.MULTILINE)


def test_every_version_on_the_page_is_that_of_every_lock() -> None:
    assert len(ROWS) > 15
    for name, version in ROWS:
        found = {lock[name] for lock in LOCKED.values() if name in lock}
        assert found == {version}, name


def test_the_images_on_the_page_are_those_that_are_pinned() -> None:
    (triton,) = re.findall(r"^ARG TRITON_IMAGE=nvcr.io/nvidia/(.*)@", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    (redis,) = re.findall(
        r"name: redis, newTag: ([\d.]+)", (ROOT / "manifests/platform/redis/kustomization.yaml").read_text()
    )
    assert f"`{triton}`" in PAGE
    assert f"`redis:{redis}`" in PAGE


def test_tritons_image_gets_the_pillow_that_the_tests_run() -> None:
    assert f"ARG PILLOW_VERSION={LOCKED['triton.lock']['pillow']}\n" in (ROOT / "Dockerfile").read_text()


def test_lower_bounds_leave_out_what_an_advisory_affects() -> None:
    bounds = dict(re.findall(r'"([\w-]+)>=([\d.]+)"', (ROOT / "pyproject.toml").read_text()))
    for name in ("hpack", "orjson", "python-multipart"):
        (row,) = re.findall(rf"^\| `{name}`.*$", PAGE, re.MULTILINE)
        fixed = re.findall(r"below ([\d.]+\d)", row)
        assert max(map(_numbers, fixed)) <= _numbers(bounds[name]), name


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]
