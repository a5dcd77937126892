"""Every kustomization builds from a clean clone, and overlays stay what they are for: differences."""

from pathlib import Path

import pytest
import yaml

from switchyard.local.render import RenderError, render_text
from tests.manifests.documents import ENVIRONMENTS, OVERLAYS, ROOT

KUSTOMIZATIONS = sorted(
    path for folder in ("manifests", "kustomize") for path in (ROOT / folder).rglob("kustomization.yaml")
)
BUILDABLE = [path for path in KUSTOMIZATIONS if yaml.safe_load(path.read_text())["kind"] == "Kustomization"]
COMPONENTS = [path for path in KUSTOMIZATIONS if path not in BUILDABLE]
OVERLAY_LINES = 30


def relative(path: Path) -> str:
    return str(path.parent.relative_to(ROOT))


@pytest.mark.parametrize("path", BUILDABLE, ids=relative)
def test_each_kustomization_builds_alone(path: Path) -> None:
    assert render_text(path.parent).strip()


@pytest.mark.parametrize("path", COMPONENTS, ids=relative)
def test_each_component_is_used_and_says_what_it_does_in_its_first_line(path: Path) -> None:
    users = [
        overlay
        for overlay in ENVIRONMENTS
        if f"../../components/{path.parent.name}" in (OVERLAYS / overlay / "kustomization.yaml").read_text()
    ]

    assert users, f"no overlay lists {relative(path)}"
    assert path.read_text().startswith("# ")


def test_each_overlay_is_an_environment_of_at_most_thirty_lines() -> None:
    lengths = {
        name: sum(len(path.read_text().splitlines()) for path in (OVERLAYS / name).iterdir()) for name in ENVIRONMENTS
    }

    assert {"dev", "local", "prod"} <= lengths.keys()
    assert {name: length for name, length in lengths.items() if length > OVERLAY_LINES} == {}


def test_every_file_of_a_kustomization_is_listed_in_it() -> None:
    for path in KUSTOMIZATIONS:
        text = path.read_text()
        unlisted = [file.name for file in path.parent.iterdir() if file.is_file() and file.name not in text]
        assert unlisted in ([], [path.name]), f"{relative(path)} does not list {unlisted}"


def test_a_guard_in_a_patch_fails_the_build_when_the_patched_line_has_moved(tmp_path: Path) -> None:
    for folder in ("manifests", "kustomize"):
        for source in (ROOT / folder).rglob("*"):
            if source.is_file():
                target = tmp_path / source.relative_to(ROOT)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(source.read_bytes())
    service = tmp_path / "manifests/services/chat-fast/inferenceservice.yaml"
    service.write_text(service.read_text().replace("--max-model-len=2048 ", "--max-model-len=4096 "))

    with pytest.raises(RenderError, match="testing value"):
        render_text(tmp_path / "kustomize/overlays/dev")
