"""The pages on how to add something: who does what they say gets what they promise."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.following import blocks, changed, copy_of_the_tree, follow
from tests.docs.pages import DOCS, ROOT
from tests.live.vision.test_recovery import CAUSES
from tests.switchyard.router.running import router, services

HOW_TO = DOCS / "how-to"


def run(tree: Path, *command: str, given: str = "") -> str:
    """Run a command in a copy of the tree, with its code; return what it prints."""
    done = subprocess.run(
        command,
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        input=given,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("name", ["add-a-metric", "add-a-predictor", "add-a-route", "add-a-stage"])
def test_what_a_page_adds_passes_the_tests_that_the_page_names(tmp_path: Path, name: str) -> None:
    tree = copy_of_the_tree(tmp_path)
    files = [file for file in follow(HOW_TO / f"{name}.md", tree) if file.endswith(".py")]
    *tools, tests = [block.text for block in blocks(HOW_TO / f"{name}.md") if block.language == "sh"]

    for tool in tools:
        run(tree, *tool.split())
    assert " passed" in run(tree, "python", "-m", *tests.split(), "-p", "no:cacheprovider")
    run(tree, "ruff", "check", "--no-cache", *files)
    run(tree, "ruff", "format", "--no-cache", "--check", *files)


async def test_the_graph_of_its_page_is_checked_and_asks_both_models(tmp_path: Path) -> None:
    tree = copy_of_the_tree(tmp_path)
    follow(HOW_TO / "add-a-graph.md", tree)
    rendered = run(tree, "kubectl", "kustomize", "kustomize/overlays/local")
    checked = run(tree, "python", "-m", "switchyard.cli", "graph", "check", "-", given=rendered)
    nodes = next(
        one["spec"]["nodes"] for one in yaml.safe_load_all(rendered) if one["metadata"]["name"] == "second-opinion"
    )

    assert 'graph "second-opinion": fine' in checked
    assert "NAMESPACE" not in json.dumps(nodes)
    async with services() as behind, router(behind, moved(nodes, behind.url)) as graph:
        answer = (await graph.post({"inputs": []})).json()
    assert {step: said["from"] for step, said in answer.items()} == {
        "fast": "chat-fast-predictor",
        "reasoning": "chat-reasoning-predictor",
    }


def moved(nodes: dict[str, Any], url: str) -> dict[str, Any]:
    """A graph whose services are paths of ``url``, named by their hosts."""
    for node in nodes.values():
        for step in node["steps"]:
            step["serviceUrl"] = f"{url}/{step['serviceUrl'].removeprefix('http://').partition('.')[0]}"
    return nodes


def test_a_language_model_that_is_brought_as_the_page_says_is_rendered(tmp_path: Path) -> None:
    page, tree = ROOT / "model-repository/README.md", copy_of_the_tree(tmp_path)
    (command,) = [block.text.split() for block in blocks(page) if "--write" in block.text]
    (tree / "model-repository/llm").unlink()  # it leads to the project's own
    shutil.copytree(ROOT / "model-repository/llm/chat-fast", tree / "my-model")
    run(tree, "python", "-m", "switchyard.cli", *command[1:])
    documents = yaml.safe_load_all(run(tree, "python", "-m", "switchyard.cli", "render"))
    found = {(one["kind"], one["metadata"]["name"]): one for one in documents}

    service = found["InferenceService", "my-model"]["spec"]["predictor"]["model"]
    assert service["storageUri"] == "pvc://model-repository/llm/my-model"
    (settings,) = [source["configMapRef"]["name"] for source in service["envFrom"]]
    assert settings.startswith("my-model-settings")
    assert ("ConfigMap", settings) in found
    assert ("InferenceService", "chat-fast") in found


def test_the_table_of_vision_models_that_fail_has_the_status_of_what_the_folder_lacks() -> None:
    lines = (HOW_TO / "serve-a-vision-model.md").read_text().splitlines()
    says = {status: next(line for line in lines if line.startswith(f"| `{status} ")) for status in (404, 503)}
    lacking = {"no config": "`config.pbtxt`", "no version": "`1/`"}
    for name, file in lacking.items():
        assert {status for status, line in says.items() if file in line} == {CAUSES[name].status}


def test_a_change_of_a_place_that_is_not_there_is_an_error() -> None:
    assert changed("a\nb\nc\n", " a\n-b\n+B\n@@\n c\n+d\n") == "a\nB\nc\nd\n"
    with pytest.raises(AssertionError, match="is 0 times"):
        changed("a\n", " b\n+c\n")
