from pathlib import Path

import pytest

from switchyard.local.plan.render import RenderError, documents, render


def test_an_overlay_renders_to_its_documents(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("configMapGenerator:\n- name: a\n  literals: [X=1]\n")
    (document,) = render(tmp_path)
    assert document["kind"] == "ConfigMap"
    assert document["metadata"]["name"].startswith("a-")


def test_a_build_that_fails_says_what_kustomize_says(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("resources: [absent.yaml]\n")
    with pytest.raises(RenderError, match=r"absent\.yaml"):
        render(tmp_path)


def test_a_missing_kubectl_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(RenderError, match="install the kubectl binary"):
        render(tmp_path, kubectl="kubectl-that-is-not-there")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(RenderError, match="is not a folder"):
        render(tmp_path / "absent")


def test_the_items_of_a_list_are_documents() -> None:
    one = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}"
    text = f"apiVersion: v1\nkind: List\nitems: [{one}]\n---\n{one}\n---\n"
    assert [document["kind"] for document in documents(text, Path("overlay"))] == ["ConfigMap"] * 2


@pytest.mark.parametrize("text", ["a: [", "- 1\n", "kind: X\n"])
def test_what_is_no_object_is_rejected(text: str) -> None:
    with pytest.raises(RenderError):
        documents(text, Path("overlay"))
