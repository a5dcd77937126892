"""The end of a run of tests with real servers: no key is in anything that they wrote."""

from collections.abc import Iterator

import pytest

from tests.leaks.finding import leaks


@pytest.fixture(scope="session", autouse=True)
def no_key_is_written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fails the run if a log, a crash dump, a store, scraped metrics or anything else of the servers has a key.

    It begins before all other fixtures, and so ends after them, when their servers have said their last. What tests
    before it wrote is theirs: some write keys to see them found.
    """
    base = tmp_path_factory.getbasetemp()
    before = set(base.iterdir())
    yield
    folders = sorted(folder for folder in set(base.iterdir()) - before if not folder.is_symlink())
    if found := [f"{folder.name}/{leak}" for folder in folders for leak in leaks(folder)]:
        pytest.fail("servers wrote keys:\n" + "\n".join(found), pytrace=False)
