"""Counting what was read wrongly."""

import json

import pytest

from predictors.vision import accuracy
from tests.live.processes import ROOT

PICTURES = ROOT / "tests" / "testdata" / "pictures"


def reading(expected: str, text: str, package: str) -> accuracy.Reading:
    return accuracy.Reading(name="a.png", expected=expected, text=text, package=package)


@pytest.mark.parametrize(
    ("one", "other", "count"),
    [
        ("", "", 0),
        ("abc", "abc", 0),
        ("", "abc", 3),
        ("abc", "", 3),
        ("kitten", "sitting", 3),
        ("ab", "ba", 2),
        ("a b", "ab", 1),
    ],
)
def test_edits_are_counted(one: str, other: str, count: int) -> None:
    assert accuracy.edits(one, other) == count


def test_accuracy_is_by_character_and_never_negative() -> None:
    assert reading("abcd", "abxd", "").accuracy == 0.75
    assert reading("a", "something else", "").accuracy == 0


def test_the_report_weighs_images_by_their_text() -> None:
    lines = accuracy.report([reading("a" * 9, "a" * 9, "a" * 9), reading("b", "c", "d")])
    assert "same text as the package" in lines[0]
    assert "NOT the package's text" in lines[1]
    assert lines[2].split()[:2] == ["all", "90.00%"]
    assert lines[2].endswith("same text in 1/2")


def test_every_image_has_an_expected_text_and_a_source() -> None:
    expected = json.loads((PICTURES / "expected.json").read_text(encoding="utf-8"))
    pictures = {path.name for path in PICTURES.iterdir() if path.suffix not in {".md", ".json"}}
    assert set(expected) == pictures
    assert len(pictures) == 10
    readme = (PICTURES / "README.md").read_text()
    assert not [name for name in pictures if f"`{name}`" not in readme]
