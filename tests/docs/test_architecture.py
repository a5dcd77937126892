"""The drawing of the architecture is well formed, readable in light and dark, and shows what exists."""

import re
from xml.etree import ElementTree

from tests.docs.pages import DOCS, ROOT

DRAWING = DOCS / "architecture.svg"
SVG = "{http://www.w3.org/2000/svg}"
TEXTS = ["".join(node.itertext()) for node in ElementTree.parse(DRAWING).iter(f"{SVG}text")]


def test_the_readme_and_the_page_show_the_drawing() -> None:
    assert "](docs/architecture.svg)" in (ROOT / "README.md").read_text()
    assert "](../architecture.svg)" in (DOCS / "concepts/architecture.md").read_text()


def test_every_color_has_a_dark_twin() -> None:
    light, dark = DRAWING.read_text().split("@media (prefers-color-scheme: dark)")
    colored = set(re.findall(r"^\s*([.\w, ]+?) {[^}]*#\w{6}", light, re.MULTILINE))
    twins = set(re.findall(r"^\s*([.\w, ]+?) {[^}]*#\w{6}", dark, re.MULTILINE))

    names = {name.strip() for group in colored for name in group.split(",")}
    assert names == {name.strip() for group in twins for name in group.split(",")}


def test_folders_modules_and_stages_in_the_drawing_exist() -> None:
    text = " ".join(TEXTS)
    for folder in re.findall(r"\b(?:switchyard|predictors)[/.]\w+", text):
        assert (ROOT / folder.replace(".", "/")).is_dir(), folder
    for folder in re.findall(r"\b([\w-]+)/ ", text):
        assert (ROOT / folder).is_dir(), folder
    stages = TEXTS[4:9]
    assert stages[0] == "observe"
    for stage in stages:
        assert list((ROOT / "switchyard/gateway/stages").rglob(f"{stage}.py")), stage
