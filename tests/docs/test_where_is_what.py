"""The map from questions to files: every file is there and not empty."""

import re

from tests.docs.pages import DOCS, ROOT

ROWS = re.findall(r"^\| (.+\?) \| (.+) \|$", (DOCS / "concepts/where-is-what.md").read_text(), re.MULTILINE)


def test_questions_are_answered_by_files_that_exist() -> None:
    assert len(ROWS) >= 12
    for question, answer in ROWS:
        files = re.findall(r"`((?:switchyard|predictors|dashboards)/[\w/.]+)`", answer)
        assert files, question
        assert [file for file in files if not (ROOT / file).exists()] == [], question
        assert all((ROOT / file).is_dir() or (ROOT / file).read_text().strip() for file in files), question
