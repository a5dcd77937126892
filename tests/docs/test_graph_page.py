"""docs/reference/graph.md and docs/concepts/graph.md against the code."""

import re
from dataclasses import fields
from pathlib import Path

from switchyard.router.gjson import compile
from switchyard.router.graph.manifest import reports
from switchyard.router.settings import Settings
from tests.live.router.contract import Rules

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "reference" / "graph.md").read_text()


def test_every_rule_that_differs_from_kserve_is_explained() -> None:
    rules = re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \| [^|]+ \|$", PAGE, re.MULTILINE)
    assert rules == [rule.name for rule in fields(Rules)]


def test_every_setting_is_listed() -> None:
    table = PAGE.partition("## Environment")[2]
    for setting in fields(Settings):
        assert f"`{setting.name.upper()}`" in table


def test_conditions_of_the_page_do_what_it_says() -> None:
    table = PAGE.partition("| To ask whether | write |")[2].partition("\n\n")[0]
    conditions = re.findall(r"\| `([^`]+)` \|", table)
    body = b'{"model":"chat-fast","max_tokens":2000,"messages":[{"role":"system"}],"error":"e"}'
    assert len(conditions) == 7
    for condition in conditions:
        assert compile(condition).holds(body)
        assert not compile(condition).holds(b'{"tools":[]}')


def test_the_graph_of_the_concept_is_fine() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", (DOCS / "concepts" / "graph.md").read_text(), re.DOTALL)
    (verdict,) = reports(example)
    assert verdict.problems == ()
