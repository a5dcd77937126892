"""Files of a certificate that are followed: when it expires, and who is told."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from switchyard.http.tls import TlsError, TlsFiles, WatchedTls
from tests.switchyard.http.certificates import Authority, Issued

DAY = 86_400


def files(issued: Issued) -> TlsFiles:
    return TlsFiles(issued.certificate, issued.key)


async def followed(watched: WatchedTls, until: Callable[[], bool]) -> None:
    following = asyncio.create_task(watched.follow())
    async with asyncio.timeout(30):
        while not until():
            await asyncio.sleep(0.01)
    following.cancel()


def test_a_chain_expires_with_its_first_certificate_that_does(tmp_path: Path) -> None:
    authority = Authority("ours", tmp_path)  # whose own certificate has a day
    issued = authority.issue("gateway", days=90)
    assert files(issued).expires() - time.time() == pytest.approx(90 * DAY, abs=60)
    issued.certificate.write_bytes(issued.certificate.read_bytes() + authority.path.read_bytes())
    assert files(issued).expires() - time.time() == pytest.approx(DAY, abs=60)
    issued.certificate.write_text("nothing")
    with pytest.raises(TlsError, match="has no certificates"):
        files(issued).expires()


async def test_the_last_two_weeks_of_a_certificate_are_told_once_a_day_until_it_is_renewed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority, told, now = Authority("ours", tmp_path), [], time.time()
    issued = authority.issue("gateway", days=20)

    def on_read(valid: bool, expires: float) -> None:
        told.append((valid, round((expires - start) / DAY)))

    def said() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]

    start = now
    watched = WatchedTls(files(issued), on_read, lambda: now)
    for days, count in (5, 0), (7, 1), (7.9, 1), (8.1, 2), (21, 3):
        now = start + days * DAY
        looks = 0

        def looked() -> bool:
            nonlocal looks
            looks += 1
            return looks > 3

        await followed(watched, looked)
        assert len(said()) == count, days
    assert said()[0].endswith("expires in 13.0 days")
    assert said()[2].endswith("has expired: clients reject it")

    issued.key.write_text("nothing")
    await followed(watched, lambda: len(told) == 2)
    authority.issue("other", days=90).copy_to(issued)
    await followed(watched, lambda: len(told) == 3)
    assert told == [(True, 20), (False, 20), (True, 90)]
    assert len(said()) == 3
