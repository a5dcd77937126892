"""Every seed and every crash ever found, and a bounded walk from them that is the same each time."""

import time

import pytest

from tests.fuzz import inputs

MUTATIONS = 300
SECONDS = 20  # for one target, the slowest machine included


@pytest.mark.parametrize("name", inputs.names())
def test_what_lies_in_the_repository_keeps_the_invariants(name: str) -> None:
    target = inputs.load(name)
    seeds = target.seeds()
    assert seeds
    for data in seeds:
        target.check(data)


@pytest.mark.parametrize("name", inputs.names())
def test_so_do_seeds_that_were_changed_at_random(name: str) -> None:
    target = inputs.load(name)
    until = time.monotonic() + SECONDS
    for data in inputs.mutated(target, seed=12, count=MUTATIONS):
        target.check(data)
        assert time.monotonic() < until, f"{name} needs more than {SECONDS} s for {MUTATIONS} inputs"


def test_each_target_has_a_folder_of_seeds_and_each_folder_a_target() -> None:
    assert sorted(path.name for path in inputs.CORPUS.iterdir()) == inputs.names()


def test_seeds_are_small() -> None:
    for name in inputs.names():
        sizes = [path.stat().st_size for path in (inputs.CORPUS / name).iterdir()]
        assert sum(sizes) < 32 * 1024, f"{name}: {sum(sizes)} bytes of seeds"
