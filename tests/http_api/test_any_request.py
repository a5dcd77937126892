"""Every route is asked what nobody thought of: each response is one that the document has, none is a server's error."""

import re
from pathlib import Path

import httpx

from tests.http_api.running import ask_anything, full_gateway

# The edges of large schemas are thousands, and to the gateway all alike: ``make fuzz`` has them too.
ENGINES = ("--exclude-tag", "Chat", "--exclude-tag", "Embeddings")
RUNS = (
    (("--phases", "examples,fuzzing,stateful", "--max-examples", "5"), 400),
    (("--phases", "coverage", *ENGINES), 1000),
)
# What the gateway may grow by: pools of connections, pages that are made once, and gaps in the heap.
MOST_MB = 48.0


async def test_every_request_gets_a_response_that_the_document_says_and_leaves_nothing_behind(tmp_path: Path) -> None:
    async with full_gateway(tmp_path) as gateway:
        before = gateway.command.tree.pss_mb()
        for options, least in RUNS:
            report = await ask_anything(
                gateway.url, *options, "--generation-deterministic", key=gateway.key, folder=tmp_path
            )
            assert report.passed, report.text
            assert report.requests > least
        assert gateway.command.tree.pss_mb() - before < MOST_MB
        async with httpx.AsyncClient(base_url=gateway.url, trust_env=False) as client:
            metrics = (await client.get("/metrics", headers={"authorization": f"Bearer {gateway.key}"})).text
        assert "gateway_requests_in_flight 0.0" in metrics.splitlines()
    log = gateway.command.log.read_text()
    assert "Traceback" not in log
    assert not re.search(r'"level": ?"(error|critical)"', log)
