"""vLLM's KV cache holds each tenant's prompts for that tenant alone, whichever protocol they come by."""

import httpx
import numpy as np
import pytest
import tritonclient.grpc

from predictors.serving.cache_isolation import salt
from tests.live.processes import Predictor
from tests.live.test_llm_predictor import v2

pytestmark = pytest.mark.live

PREFIX = "Ana has 3 apples and gets 4 more. " * 40  # longer than a block of the KV cache, of 128 tokens on a CPU


def cached_tokens(predictor: Predictor) -> float:
    """The tokens of prompts that were found in the KV cache so far."""
    lines = httpx.get(f"{predictor.url}/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("vllm:prefix_cache_hits_total"))


def reused(predictor: Predictor, path: str, body: object, tenant: str | None) -> bool:
    """Whether a request found the beginning of its prompt in the KV cache."""
    before = cached_tokens(predictor)
    sent = {} if tenant is None else {"x-switchyard-tenant": tenant}
    if path == "grpc":
        tensor = tritonclient.grpc.InferInput("text_input", [1], "BYTES")
        tensor.set_data_from_numpy(np.array([body], dtype=np.object_))
        with tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{predictor.grpc}") as client:
            client.infer(predictor.name, [tensor], headers=sent, parameters={"max_tokens": 1})
    else:
        httpx.post(predictor.url + path, json=body, headers=sent, timeout=60).raise_for_status()
    return cached_tokens(predictor) > before


@pytest.mark.parametrize("protocol", ["chat", "completions", "responses", "messages", "v2", "generate", "grpc"])
def test_a_tenants_prompts_are_cached_for_that_tenant_alone(chat: Predictor, protocol: str) -> None:
    text = f"{protocol} {PREFIX}"
    messages = {"model": "chat-fast", "messages": [{"role": "user", "content": text}], "max_tokens": 1}
    path, body = {
        "chat": ("/openai/v1/chat/completions", messages),
        "completions": ("/openai/v1/completions", {"model": "chat-fast", "prompt": text, "max_tokens": 1}),
        "responses": ("/openai/v1/responses", {"model": "chat-fast", "input": text, "max_output_tokens": 16}),
        "messages": ("/openai/v1/messages", messages),
        "v2": ("/v2/models/chat-fast/infer", v2(texts=[text], max_tokens=1)),
        "generate": ("/v2/models/chat-fast/generate", {"text_input": text, "max_tokens": 1}),
        "grpc": ("grpc", text),
    }[protocol]
    seen = [(tenant, reused(chat, path, body, tenant)) for tenant in ("acme", "acme", "globex", "globex", None, None)]
    assert seen == [("acme", False), ("acme", True), ("globex", False), ("globex", True), (None, False), (None, True)]


def test_a_salt_of_the_client_leads_into_no_other_tenants_cache(chat: Predictor) -> None:
    path, body = "/openai/v1/completions", {"model": "chat-fast", "prompt": f"salt {PREFIX}", "max_tokens": 1}
    assert not reused(chat, path, body, "acme")
    for given in ("acme", salt("acme", None)):
        assert not reused(chat, path, {**body, "cache_salt": given}, "globex")
        assert reused(chat, path, {**body, "cache_salt": given}, "globex")
    assert reused(chat, path, body, "acme")
