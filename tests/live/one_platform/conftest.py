"""One platform for all modules of this folder: what they ask changes nothing for the next, and models stay awake.

A module that wants models asleep, or ends what others use, has a platform of its own, outside of this folder.
"""

from collections.abc import Iterator

import pytest

from tests.live.platform import Platform, running


@pytest.fixture(scope="package")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with running(tmp_path_factory.mktemp("platform")) as made:
        yield made
