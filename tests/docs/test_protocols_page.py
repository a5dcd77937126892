"""docs/concepts/protocols.md against what is tried."""

import re

from tests.differential.cases import alone
from tests.differential.test_differential import COUNT
from tests.docs.pages import DOCS
from tests.fuzz import inputs
from tests.one_server.test_floods import FLOODS, MOST_BYTES

PAGE = (DOCS / "concepts/protocols.md").read_text()
WORDS = " ".join(PAGE.split())


def test_figures_on_the_page_are_those_of_the_tests() -> None:
    assert f"{len(list(alone()))} oddities alone" in WORDS
    assert f"({COUNT} in `make test`, 2 000 from a new seed in `make fuzz`)" in WORDS
    assert f"runs {len(FLOODS)} floods" in WORDS
    assert f"stays within {MOST_BYTES // 2**20} MB" in WORDS


def test_every_target_of_the_fuzzer_is_in_the_table() -> None:
    table = PAGE.partition("| target |")[2].partition("\n\n")[0]
    rows = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]

    assert sorted(name for row in rows for name in re.findall(r"`(\w+)`", row)) == inputs.names()
