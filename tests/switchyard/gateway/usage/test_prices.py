"""Costs are exact: as reckoned with fractions, from what ``tenants.yaml`` says to the nano-dollar of a call."""

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.gateway.tenants.directory import Directory
from switchyard.gateway.tenants.prices import Price
from switchyard.gateway.tenants.reader import InvalidTenantsError, read, rows
from switchyard.gateway.usage.prices import cost, price_of
from switchyard.http.usage import Usage

DOLLARS = st.decimals(min_value=0, max_value=1_000_000, places=9)
COUNTS = st.integers(min_value=0, max_value=10**9)


def directory(tmp_path: Path, prices: object) -> Directory:
    """What the gateway has of a file with these prices."""
    path = tmp_path / "tenants.yaml"
    path.write_text(json.dumps({"tenants": [], "prices": prices}))
    read_of_file = Directory()
    for row in rows(read(path)):
        read_of_file.add(json.loads(json.dumps(row)))
    return read_of_file


@given(st.tuples(DOLLARS, DOLLARS, DOLLARS, DOLLARS, DOLLARS), st.tuples(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS))
def test_a_call_costs_what_fractions_say_to_half_a_nano_dollar(
    tmp_path_factory: pytest.TempPathFactory, dollars: tuple[Decimal, ...], counts: tuple[int, ...]
) -> None:
    names = ("input", "cached_input", "output", "inference", "megapixel")
    said = {"models": ["*"], **{name: str(amount) for name, amount in zip(names, dollars, strict=True)}}
    price = price_of("any", directory(tmp_path_factory.mktemp("p"), [said]).prices)
    prompt, cached, completion, inferences, pixels = counts
    usage = Usage(
        prompt_tokens=prompt + cached,
        cached_tokens=cached,
        completion_tokens=completion,
        inferences=inferences,
        pixels=pixels,
    )
    parts = (
        Fraction(prompt, 10**6),
        Fraction(cached, 10**6),
        Fraction(completion, 10**6),
        Fraction(inferences),
        Fraction(pixels, 10**6),
    )
    exact = sum((Fraction(amount) * part for amount, part in zip(dollars, parts, strict=True)), Fraction()) * 10**9
    assert abs(cost(usage, price) - exact) <= Fraction(1, 2)


@pytest.mark.parametrize("text", ["0.15", 0.15])
def test_a_price_is_the_decimal_that_is_written(tmp_path: Path, text: object) -> None:
    (price,) = directory(tmp_path, [{"models": ["a"], "input": text}]).prices
    assert price.input == 150_000_000
    assert cost(Usage(prompt_tokens=1), price) == 150


def test_cached_input_costs_as_other_input_where_it_has_no_price(tmp_path: Path) -> None:
    (price,) = directory(tmp_path, [{"models": ["a"], "input": 2}]).prices
    assert cost(Usage(prompt_tokens=5, cached_tokens=5), price) == cost(Usage(prompt_tokens=5), price) == 10_000


def test_the_first_price_that_matches_counts_and_none_is_free() -> None:
    prices = (Price(("chat-fast",), input=1), Price(("chat-*",), input=2))
    assert [price_of(name, prices).input for name in ("chat-fast", "chat-slow", "ocr")] == [1, 2, 0]


@pytest.mark.parametrize(
    ("price", "place"),
    [
        ({"input": -1}, "prices[0].input"),
        ({"input": "0.0000000001"}, "prices[0].input"),
        ({"output": "much"}, "prices[0].output"),
        ({"output": 10_000_001}, "prices[0].output"),
        ({"hour": 1}, "prices[0].hour"),
        ({"models": []}, "prices[0].models"),
    ],
)
def test_a_wrong_price_is_an_error_at_its_place(tmp_path: Path, price: dict[str, object], place: str) -> None:
    with pytest.raises(InvalidTenantsError, match=place.replace("[", r"\[").replace("]", r"\]")):
        directory(tmp_path, [{"models": ["a"], **price}])
