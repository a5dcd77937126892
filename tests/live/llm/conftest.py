"""One predictor of each language model for all modules of this folder."""

from collections.abc import Iterator

import pytest

from tests.live.processes import Predictor, Preload, chat_model, embedding_model


@pytest.fixture(scope="package")
def chat(preload: Preload) -> Iterator[Predictor]:
    with chat_model(preload) as started:
        yield started


@pytest.fixture(scope="package")
def embed(preload: Preload) -> Iterator[Predictor]:
    with embedding_model(preload) as started:
        yield started
