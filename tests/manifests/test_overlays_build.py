"""Every kustomization builds from a clean clone, and overlays stay what they are for: differences."""

import difflib
import shutil
from pathlib import Path

import pytest
import yaml

from switchyard.local.plan.render import RenderError, render_text
from tests.manifests.documents import CLUSTERS, COMPONENTS, ENVIRONMENTS, OVERLAYS, ROOT, Rendered

KUSTOMIZATIONS = sorted(
    path for folder in ("manifests", "kustomize") for path in (ROOT / folder).rglob("kustomization.yaml")
)
BUILDABLE = [path for path in KUSTOMIZATIONS if yaml.safe_load(path.read_text())["kind"] == "Kustomization"]
OPTIONAL = {
    "gpu-slices": "prod",
    "batches": "staging",
    "gateway-tls": "dev",
    "grafana-operator": "prod",
}  # no overlay lists them, but they fit onto these
ALONE = "tenant"  # an overlay of its own lists it: test_tenant_namespace.py
FITTING = [*OPTIONAL.items(), ("tenants", "dev")]
OVERLAY_LINES = 60  # an overlay is a list of components and a few figures; if it grows, a component is missing


def relative(path: Path) -> str:
    return str(path.parent.relative_to(ROOT))


def components(overlay: str) -> list[str]:
    """The components that an overlay lists, in its order."""
    listed = yaml.safe_load((OVERLAYS / overlay / "kustomization.yaml").read_text())["components"]
    return [path.removeprefix("../../components/") for path in listed]


def used(overlay: str) -> set[str]:
    """The components that an overlay is made of, those that others are made of included."""
    found: set[str] = set()
    left = components(overlay)
    while left:
        name = left.pop()
        found.add(name)
        listed = yaml.safe_load((COMPONENTS / name / "kustomization.yaml").read_text()).get("components", [])
        left += [path.removeprefix("../") for path in listed]
    return found


def copy_of_the_tree(target: Path) -> Path:
    """A copy of what overlays are made of."""
    for folder in ("manifests", "kustomize", "dashboards"):
        shutil.copytree(ROOT / folder, target / folder)
    return target


def text(rendered: Rendered, name: str) -> list[str]:
    """The lines of an environment, without its name."""
    return yaml.safe_dump_all(rendered[name]).replace(f"switchyard-{name}", "switchyard-ENVIRONMENT").splitlines()


@pytest.mark.parametrize("path", BUILDABLE, ids=relative)
def test_each_kustomization_builds_alone(path: Path) -> None:
    assert render_text(path.parent).strip()


@pytest.mark.parametrize("name", sorted(path.name for path in COMPONENTS.iterdir()))
def test_each_component_is_used_and_says_what_it_does_in_its_first_line(name: str) -> None:
    users = [overlay for overlay in ENVIRONMENTS if name in used(overlay)]

    assert users or name in OPTIONAL or name == ALONE, f"no overlay lists {name}"
    assert (COMPONENTS / name / "kustomization.yaml").read_text().startswith("# ")


@pytest.mark.parametrize(("name", "overlay"), FITTING)
def test_a_component_that_an_overlay_does_not_list_fits_onto_it(tmp_path: Path, name: str, overlay: str) -> None:
    file = copy_of_the_tree(tmp_path) / "kustomize/overlays" / overlay / "kustomization.yaml"
    last = f"  - ../../components/{components(overlay)[-1]}\n"
    file.write_text(file.read_text().replace(last, f"{last}  - ../../components/{name}\n"))

    assert render_text(file.parent) != render_text(OVERLAYS / overlay)


def test_each_overlay_is_a_short_list() -> None:
    lengths = {
        name: sum(len(path.read_text().splitlines()) for path in (OVERLAYS / name).iterdir()) for name in ENVIRONMENTS
    }

    assert {*lengths} == {"dev", "local", "local-gpu", "prod", "staging"}
    assert {name: length for name, length in lengths.items() if length > OVERLAY_LINES} == {}


def test_a_cluster_without_any_of_its_guards_is_not_an_overlay_of_ours() -> None:
    for name in CLUSTERS:
        assert {"cluster", "network-policy", "pod-security", "quota", "monitoring"} <= {*components(name)}, name


def test_staging_is_production_but_for_its_size_and_hosts(rendered: Rendered) -> None:
    differing = difflib.ndiff(text(rendered, "staging"), text(rendered, "prod"))
    changed = [line for line in differing if line.startswith(("+", "-"))]
    assert [name for name in components("prod") if name not in components("staging")] == ["node-local-cache"]
    staging, prod = ({document["kind"] for document in rendered[name]} for name in ("staging", "prod"))
    assert prod ^ staging == {"LocalModelCache", "LocalModelNodeGroup"}
    assert len(changed) <= 100, f"{len(changed)} lines differ"


def test_every_file_of_a_kustomization_is_listed_in_it() -> None:
    for path in KUSTOMIZATIONS:
        text = path.read_text()
        unlisted = [file.name for file in path.parent.iterdir() if file.is_file() and file.name not in text]
        assert unlisted in ([], [path.name]), f"{relative(path)} does not list {unlisted}"


def test_a_guard_in_a_patch_fails_the_build_when_the_patched_line_has_moved(tmp_path: Path) -> None:
    service = copy_of_the_tree(tmp_path) / "manifests/services/chat-fast/inferenceservice.yaml"
    service.write_text(service.read_text().replace("--max-model-len=2048 ", "--max-model-len=4096 "))

    with pytest.raises(RenderError, match="testing value"):
        render_text(tmp_path / "kustomize/overlays/dev")
