"""The live part of tests/errors: what real engines and graphs say, as official clients show it through the gateway."""

import pytest

from tests.errors.clients import CLIENTS, Client
from tests.live.platform import Platform

pytestmark = pytest.mark.live

# By client: a model that cannot take its request, the status and the sentence of whoever says so.
UNREADABLE = ("canary", 400, "inputs is missing")  # KServe, in our words: its steps take V2
REJECTED = {
    "embeddings": ("auto", 404, "graph auto does not serve POST /v1/embeddings"),  # as its step says
    "v2": ("auto", 400, "the body has no `messages`"),  # the complexity step
    "generate_stream": ("ocr", 400, "image"),  # Triton
    "v1": ("two-readers", 400, "instance"),  # vision, behind a graph
    "image": ("chat-fast", 400, "is of kind llm"),  # the gateway
}


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
async def test_official_clients_show_what_real_models_say(platform: Platform, client: Client) -> None:
    model, status, sentence = REJECTED.get(client.name, UNREADABLE)
    in_stream = client.streams and platform.model(model)["state"] != "ready"
    seen = await client.seen(platform.url, model)
    assert seen is not None
    kind, shown = client.expects(status, in_stream=in_stream)
    assert (issubclass(seen.kind, kind), seen.status) == (True, shown), seen
    assert sentence in seen.text
