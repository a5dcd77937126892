"""docs/reference/metrics.md against the module that declares every metric, and metrics against OpenMetrics' rules."""

import re

import pytest

from tools.metrics_page import FILE, SECTIONS, families, text

BASE_UNITS = ("seconds", "bytes", "dollars")  # of OpenMetrics' table of base units, and the bill's
FOREIGN_UNITS = re.compile("_(ms|milliseconds|minutes|hours|kb|mb|gb|kilobytes|megabytes|percent|cents)(_|$)")
# Shares of 0 to 1 whose names were promised before the rule of `_ratio`.
NAMED_OTHERWISE = {"gpu_utilization", "routing_share", "routing_share_target", "routing_score"}


def test_the_page_is_what_the_code_says() -> None:
    assert FILE.read_text(encoding="utf-8") == text(), "run python -m tools.metrics_page"


def test_a_name_has_one_shape_in_all_processes() -> None:
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for section in SECTIONS:
        for holder in section.holders:
            for one in families(holder):
                shape = (str(one._type), tuple(one._labelnames))
                assert found.setdefault(one._name, shape) == shape, f"{one._name} differs between processes"


@pytest.mark.parametrize("holder", [holder for section in SECTIONS for holder in section.holders])
def test_names_follow_the_rules_of_openmetrics(holder: type) -> None:
    for one in families(holder):
        name = one._name
        assert re.fullmatch("[a-z][a-z0-9_]*", name), name
        assert not FOREIGN_UNITS.search(name), f"{name}: base units only"
        assert not name.endswith(("_total", "_count", "_sum", "_bucket", "_info", "_created")), name
        if one._type == "histogram":
            assert name.endswith(BASE_UNITS) or name in NAMED_OTHERWISE, f"{name} has no unit"
        assert one._documentation.endswith("."), f"{name}: say what it means, in a sentence"
        assert not {"le", "quantile", "job", "instance"} & set(one._labelnames), name
