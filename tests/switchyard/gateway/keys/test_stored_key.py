"""A key of the store: rotation with an overlap, revocation, and its end."""

from dataclasses import replace

import orjson
import pytest

from switchyard.gateway.keys.stored_key import (
    KEPT,
    PREVIOUS,
    StoredKey,
    TooManySecretsError,
    decode,
    encode,
    new_key,
    revoked,
    rotated,
)
from switchyard.gateway.tenants.keys import digest, is_key

NOW = 1_800_000_000
YEAR = 365 * 86400


def key(ends: int | None = None) -> StoredKey:
    return new_key("acme-ci", "CI", "acme", "research", ["use", "admin"], now=NOW, ends=ends)[0]


def test_a_new_key_has_the_hash_of_its_secret_and_not_the_secret() -> None:
    made, secret = new_key("acme-ci", "CI", "acme", "", ["use"], now=NOW, ends=None)
    assert is_key(secret.encode())
    assert made.secrets[0].sha256 == digest(secret.encode()).hex()
    assert secret not in encode(made).decode()
    assert secret.endswith(made.tail)
    assert len(made.tail) == 4


def test_a_key_is_read_as_it_was_written() -> None:
    made, _ = rotated(key(NOW + YEAR), now=NOW + 5, overlap=60)
    assert decode(encode(made)) == made
    assert decode(encode(revoked(made, now=NOW))) == revoked(made, now=NOW)


def test_a_key_of_a_later_version_is_read_without_what_only_that_knows() -> None:
    made = key()
    later = orjson.dumps({**orjson.loads(encode(made)), "limits": [1]})
    assert decode(later) == made


@pytest.mark.parametrize("value", [b"", b"{}", b"[]", b'{"secrets": [{}]}', b'{"secrets": 1, "roles": []}'])
def test_what_is_no_key_is_said(value: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - JSON's own where it is none
        decode(value)


def test_a_rotated_key_takes_the_old_secret_until_the_overlap_ends() -> None:
    old = key()
    new, secret = rotated(old, now=NOW + 10, overlap=60)
    assert [one.ends for one in new.secrets] == [None, NOW + 70]
    assert new.secrets[1].sha256 == old.secrets[0].sha256
    assert new.secrets[0].sha256 == digest(secret.encode()).hex()
    assert (new.created, new.issued, new.id) == (NOW, NOW + 10, old.id)


def test_without_an_overlap_all_older_secrets_end_at_once() -> None:
    twice, _ = rotated(key(), now=NOW + 10, overlap=1000)
    last, _ = rotated(twice, now=NOW + 20, overlap=0)
    assert len(last.secrets) == 1


def test_a_second_rotation_never_makes_an_older_secret_live_longer() -> None:
    once, _ = rotated(key(), now=NOW, overlap=60)
    twice, _ = rotated(once, now=NOW + 30, overlap=1000)
    assert [one.ends for one in twice.secrets] == [None, NOW + 1030, NOW + 60]


def test_secrets_that_have_ended_are_dropped_by_the_next_rotation() -> None:
    once, _ = rotated(key(), now=NOW, overlap=60)
    twice, _ = rotated(once, now=NOW + 60, overlap=60)
    assert len(twice.secrets) == 2


def test_no_more_secrets_than_a_few_are_valid_at_once() -> None:
    many = key()
    for _ in range(PREVIOUS):
        many, _ = rotated(many, now=NOW, overlap=60)
    with pytest.raises(TooManySecretsError, match="5 secrets of acme-ci are valid"):
        rotated(many, now=NOW, overlap=60)
    assert len(rotated(many, now=NOW, overlap=0)[0].secrets) == 1


def test_a_rotated_key_lives_as_long_again() -> None:
    new, _ = rotated(key(NOW + YEAR), now=NOW + 100, overlap=60)
    assert new.ends == NOW + 100 + YEAR
    again, _ = rotated(new, now=NOW + 200, overlap=60)
    assert again.ends == NOW + 200 + YEAR


def test_what_was_revoked_stays_so_from_the_first_time_on() -> None:
    first = revoked(key(), now=NOW + 1)
    assert (first.revoked, revoked(first, now=NOW + 9).revoked, first.status(NOW)) == (NOW + 1, NOW + 1, "revoked")


@pytest.mark.parametrize(("at", "status"), [(0, "active"), (99, "active"), (100, "expired")])
def test_a_key_expires_at_its_end(at: int, status: str) -> None:
    assert key(NOW + 100).status(NOW + at) == status


def test_an_ended_key_is_forgotten_much_later() -> None:
    for ended in (key(NOW), replace(key(), revoked=NOW)):
        assert not ended.is_forgotten(NOW + KEPT - 1)
        assert ended.is_forgotten(NOW + KEPT)
    assert not key().is_forgotten(NOW + 10 * KEPT)
