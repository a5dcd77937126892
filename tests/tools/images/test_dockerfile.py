"""The Dockerfile, for docker, and the recipes, for machines without it, say the same."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from tools.images.recipes import RECIPES, REPOSITORY, Recipe

DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()
STAGES = {
    match[2]: (match[1], match[3])
    for match in re.finditer(r"^FROM (\S+) AS (\S+)\n(.*?)(?=^FROM |\Z)", DOCKERFILE, re.M | re.S)
}


def instructions(name: str, word: str) -> list[str]:
    """What a stage says after ``word``, and before that the stages that it begins with."""
    base, text = STAGES[name]
    below = instructions(base, word) if base in STAGES else []
    return below + re.findall(rf"^{word} (.*)$", text.replace("\\\n", " "), re.M)


# NVIDIA's own image is what Triton's begins with, which cannot be had without docker.
OURS = {name: recipe for name, recipe in RECIPES.items() if name != "triton"}


@pytest.mark.parametrize("recipe", OURS.values(), ids=lambda recipe: recipe.name)
def test_an_image_is_the_same_either_way(recipe: Recipe) -> None:
    locks = re.findall(r"requirements/([a-z-]+)\.lock", " ".join(instructions(recipe.name, "RUN")))
    assert locks == list(recipe.locks)
    copied = [line.split()[1].removeprefix("/code/") for line in instructions(recipe.name, "COPY")]
    assert copied == ["platform", "predictors"][: len(recipe.code)]
    assert [list(map(int, ports.split())) for ports in instructions(recipe.name, "EXPOSE")] == [list(recipe.ports)]
    assert instructions(recipe.name, "USER") == [recipe.user]
    assert (
        dict(
            pair.split("=") for line in re.findall(r"^ENV (.*)$", STAGES[recipe.name][1], re.M) for pair in line.split()
        )
        == recipe.env
    )
    assert [json.loads(line) for line in instructions(recipe.name, "ENTRYPOINT")] == [list(recipe.entrypoint)] * bool(
        recipe.entrypoint
    )


def test_the_dockerfile_says_the_projects_version() -> None:
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    assert re.findall(r"^ARG VERSION=(.*)$", DOCKERFILE, re.M) == [version]


def test_code_is_the_last_layer() -> None:
    for recipe in OURS.values():
        lines = [line for line in STAGES[recipe.name][1].splitlines() if line.startswith(("RUN", "COPY"))]
        assert [line for line in lines if line.startswith("COPY")] == lines[-len(recipe.code) :]


def test_no_image_runs_as_root_or_by_a_name_that_kubernetes_cannot_check() -> None:
    for name in (*RECIPES, "predictor-gpu"):
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", instructions(name, "USER")[-1]), name


def test_what_is_copied_is_let_through_to_docker() -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    for source in re.findall(r"^COPY (?!--from)(\S+)", DOCKERFILE, re.M):
        assert f"!{source}" in ignored
        assert Path(REPOSITORY, source).exists()
