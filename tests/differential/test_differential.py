"""A few hundred odd requests through us and three others; thousands are for ``make fuzz``."""

from pathlib import Path

from tests.differential.__main__ import compare
from tests.differential.cases import alone, together
from tests.differential.differences import ARGUMENTS, SEVERAL

SEED, COUNT = 12, 250
PAGE = Path(__file__).parents[2] / "docs" / "concepts" / "protocols.md"
# They show only where several oddities meet: alone, no two peers agree, or nobody rejects a HEAD.
_OF_SEVERAL = {
    *(SEVERAL, "", "HTTP/2.0 is not served like this: use HTTP/1.1, or HTTP/2"),
    "HTTP/1.0 has no transfer codings: send a content-length, or use HTTP/1.1",
    *("Expected HTTP/, RTSP/ or ICE/", "a request has exactly one host header, not 0"),
}


async def test_no_request_is_split_as_two_others_do_not_and_every_difference_has_an_argument(tmp_path: Path) -> None:
    verdict = await compare(SEED, COUNT, tmp_path)
    assert not verdict.unargued, "\n\n".join(verdict.unargued)
    assert verdict.cases == len(list(alone())) + COUNT
    assert ARGUMENTS.keys() - verdict.argued.keys() <= _OF_SEVERAL  # a row without a difference is to be taken out


def test_the_same_seed_makes_the_same_requests() -> None:
    assert list(together(SEED, 50)) == list(together(SEED, 50))
    assert list(together(SEED, 50)) != list(together(SEED + 1, 50))
    names = [case.oddities[0] for case in alone()]
    assert len(set(names)) == len(names)


def test_the_page_shows_every_row() -> None:
    page = PAGE.read_text(encoding="utf-8")
    rows = [f"| {row or '(nothing: it was a HEAD)'} | {why} |" for row, why in ARGUMENTS.items()]
    assert [row for row in rows if row not in page] == []
