"""The overlay that this repository ships for one machine."""

from pathlib import Path

from switchyard.local.plan.plan import plan
from switchyard.local.plan.render import render
from switchyard.local.supervisor import project

ROOT = Path(__file__).parents[4]


def test_it_plans_without_an_unknown_field() -> None:
    overlay = project.overlay_of(None, ROOT / "tests")
    assert overlay == ROOT / "kustomize" / "overlays" / "local"
    found = plan(render(overlay), project.options_of(ROOT, project.directory_of(ROOT), port=None))
    assert [app.name for app in found.deployments if app.gateway] == ["gateway"]
    assert {"chat-fast", "chat-reasoning", "embed", "vision"} <= {service.name for service in found.services}
    assert {service.name for service in found.services if service.model.kind == "graph"} >= {"auto"}
    for service in found.services:
        assert service.problem == ""
        if service.model.kind in ("graph", "step"):
            continue
        place = "vision" if service.hosts else f"llm/{service.name}"
        assert service.model_dir == project.directory_of(ROOT).path / "repository" / place
        assert service.scale.minimum == 0
        assert service.scale.idle == 60
        assert service.command.grpc
