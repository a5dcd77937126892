"""``--write``: the files of a service, and its place in the one list of services."""

from pathlib import Path

import pytest
import yaml

from switchyard.cli.models.errors import ModelError
from switchyard.cli.models.manifests import remove_service, require_writable, with_resource, write_service
from switchyard.repository.verdict import Facts, Memory

FACTS = Facts(format="huggingface", kind="llm", bytes=1, memory=Memory(weights=1), context_length=512)
LIST = "# The one list.\nkind: Kustomization\nresources:\n  - a\n  - c\nlabels: []\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "manifests/services").mkdir(parents=True)
    (tmp_path / "manifests/services/kustomization.yaml").write_text(LIST)
    return tmp_path


def test_a_name_is_put_in_its_place_and_the_rest_of_the_list_stays() -> None:
    assert with_resource(LIST, "b") == LIST.replace("  - c\n", "  - b\n  - c\n")
    assert with_resource(LIST, "a") == LIST
    assert yaml.safe_load(with_resource("kind: Kustomization\n", "b"))["resources"] == ["b"]


def test_a_service_is_written_once_and_is_its_owners_then(root: Path) -> None:
    folder = write_service(root, "b", FACTS)
    assert folder == Path("manifests/services/b")
    assert yaml.safe_load((root / folder / "inferenceservice.yaml").read_text())["metadata"]["name"] == "b"
    assert "  - b\n" in (root / "manifests/services/kustomization.yaml").read_text()
    with pytest.raises(ModelError, match="yours to change"):
        require_writable(root, "llm", "b")


def test_a_written_service_goes_with_its_model_unless_somebody_changed_it(root: Path) -> None:
    folder, listed = root / "manifests/services/b", root / "manifests/services/kustomization.yaml"
    assert remove_service(root, "b", FACTS) == ""
    write_service(root, "b", FACTS)
    settings = folder / "settings.env"
    written = settings.read_text()
    settings.write_text(f"{written}MINE=1\n")
    for facts in (FACTS, None):
        assert "manifests/services/b stays" in remove_service(root, "b", facts)
    assert "  - b\n" in listed.read_text()
    settings.write_text(written)
    assert "was removed" in remove_service(root, "b", FACTS)
    assert (folder.exists(), listed.read_text()) == (False, LIST)


def test_a_vision_model_has_no_service_of_its_own(root: Path) -> None:
    require_writable(root, "llm", "b")
    with pytest.raises(ModelError, match="--write: b is a vision model"):
        require_writable(root, "vision", "b")
