"""A platform with tenants, and what goes on at one: chats, images, graphs, errors, limits, disconnects, a crash."""

import base64
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from switchyard.gateway.tenants.keys import create_key, digest
from tests.live.observability.tenanted import add_tenants
from tests.live.platform import Platform
from tests.live.processes import DEADLINE, KEY, ROOT, eventually
from tests.ports import free_port

KEYS = {"acme": KEY} | {name: create_key() for name in ("globex", "saver", "operator")}
SECRET = "the purple heron counts its pebbles"  # said to models, and to nobody else
# As often as shows all in time; spans are sent as they end.
_VARIABLES = {"SWITCHYARD_SCRAPE_INTERVAL": "2s", "OTEL_BSP_SCHEDULE_DELAY": "100"}
_JSON = {"content-type": "application/json"}
SUM = base64.b64encode((ROOT / "tests/testdata/sum.png").read_bytes()).decode()  # "What is 12 plus 7?"
# Longer than two blocks of the KV cache, of 128 tokens each on a CPU: its start is found there the next time.
STORY = "Ana has 3 apples and gets 4 more. " * 30 + "How many apples does Ana have?"
HARD = "Prove that the square root of 2 is irrational, step by step, and then generalize the proof to all primes."


class SharedPlatform(Platform):
    """A platform that asks for the keys of ``KEYS``; one of its tenants is nearly at its budget."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, window="600s", variables=_VARIABLES)
        issuer = {"name": "login", "issuer": "https://login.example", "audience": "switchyard"}
        content = {
            "tenants": [_tenant(name, key) for name, key in KEYS.items()],
            "jwt": [{**issuer, "jwks_url": f"http://127.0.0.1:{free_port()}/jwks"}],
            "prices": [{"models": ["*"], "input": 0.5, "cached_input": 0.1, "output": 1.5}],
        }
        add_tenants(self.overlay, content)


def _tenant(name: str, key: str) -> dict[str, object]:
    roles = {"operator": ["admin"], "acme": ["use", "admin"]}.get(name, ["use"])
    limits = [{"limit": "requests", "most": 2, "per": "day"}] if name == "saver" else []
    keys = [{"id": f"{name}-key", "sha256": digest(key.encode()).hex(), "roles": roles}]
    return {"name": name, "limits": limits, "keys": keys}


class Traffic:
    """Requests of tenants of ``platform``; each method asserts what its requests end with."""

    def __init__(self, platform: SharedPlatform) -> None:
        self._platform = platform

    def all(self) -> None:
        """Make all of it once, but for a crash."""
        with self._client("acme") as client:
            with ThreadPoolExecutor() as pool:  # models that sleep wake together
                for made in [pool.submit(ask, client) for ask in (self._language, self._embedding, self._vision)]:
                    made.result()
            self._graphs(client)
            self._faults(client)
            self._disconnect(client)
        self._limits()

    def crash(self) -> None:
        """Kill the process of a model within a stream, which fails, and wait until the next one serves."""
        before = self._platform.row("chat-fast")["pid"]
        body = _chat("chat-fast", HARD, 400, stream=True)
        try:
            with (
                self._client("acme") as client,
                client.stream("POST", "/v1/chat/completions", json=body) as response,
            ):
                chunks = response.iter_bytes()
                next(chunks)
                os.kill(before, signal.SIGKILL)
                list(chunks)
        except httpx.TransportError:
            pass  # the connection ends with the response, which had begun
        eventually(lambda: self._platform.row("chat-fast")["pid"] != before, "the end of chat-fast is seen")
        with self._client("acme") as client:
            _ok(client.post("/v1/chat/completions", json=_chat("chat-fast", "Hi", 1)))

    def _client(self, name: str) -> httpx.Client:
        headers = {"authorization": f"Bearer {KEYS.get(name, name)}"}
        return httpx.Client(base_url=self._platform.url, headers=headers, timeout=DEADLINE, trust_env=False)

    def _language(self, client: httpx.Client) -> None:
        for stream in (True, False, True):
            # Many tokens: the engine sends what a busy client has not read yet as one chunk.
            response = client.post("/v1/chat/completions", json=_chat("chat-fast", STORY, 64, stream=stream))
            _ok(response)
            assert not stream or response.text.endswith("data: [DONE]\n\n"), response.text[-1000:]

    def _embedding(self, client: httpx.Client) -> None:
        _ok(client.post("/v1/embeddings", json={"model": "embed", "input": ["a cat", "a kitten"]}))

    def _vision(self, client: httpx.Client) -> None:
        for _ in range(2):
            _ok(client.post("/v1/models/ocr:predict", json={"instances": [{"image": {"b64": SUM}}]}))

    def _graphs(self, client: httpx.Client) -> None:
        for content in ("Hello", HARD):
            _ok(client.post("/v1/chat/completions", json=_chat("auto", content, stream=True)))
        image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{SUM}"}}
        photo = {"model": "read-photo", "messages": [{"role": "user", "content": [image]}], "max_tokens": 8}
        _ok(client.post("/v1/chat/completions", json=photo))
        asked = {"name": "text_input", "datatype": "BYTES", "shape": [1], "data": ["Hello"]}
        _ok(client.post("/v2/models/canary/infer", json={"inputs": [asked], "parameters": {"max_tokens": 2}}))

    def _faults(self, client: httpx.Client) -> None:
        assert client.post("/v1/chat/completions", json=_chat("nobody", "Hi")).status_code == 404
        assert client.post("/v1/chat/completions", content=b"{", headers=_JSON).status_code == 400
        no_image = {"instances": [{"image": {"b64": base64.b64encode(b"no image").decode()}}]}
        assert client.post("/v1/models/ocr:predict", json=no_image).status_code == 400

    def _disconnect(self, client: httpx.Client) -> None:
        with client.stream("POST", "/v1/chat/completions", json=_chat("chat-fast", HARD, 400, stream=True)) as response:
            next(response.iter_bytes())

    def _limits(self) -> None:
        with self._client("saver") as client:
            codes = [
                client.post("/v1/chat/completions", json=_chat("chat-fast", "Hi", 1)).status_code for _ in range(3)
            ]
            assert codes[-1] == 429
        with self._client("sy-nobody-has-this-key") as client:
            assert client.post("/v1/chat/completions", json=_chat("chat-fast", "Hi", 1)).status_code == 401


def _chat(model: str, content: str, tokens: int = 16, *, stream: bool = False) -> dict[str, object]:
    body = {"model": model, "messages": [{"role": "user", "content": content}], "max_tokens": tokens, "stream": stream}
    return {**body, "ignore_eos": True} if model == "chat-fast" else body


def _ok(response: httpx.Response) -> None:
    assert response.status_code == 200, response.text
