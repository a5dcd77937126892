"""``python -m benchmarks.models.predictor``: our predictor against vLLM's own server with the same model and flags."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.processes import ROOT, Command, free_port
from benchmarks.report import Figure, publish, ratios
from benchmarks.streams import Round, round_of

MODEL = "chat-fast"
FLAGS = ("--dtype=float32", "--enforce-eager", "--max-model-len=1024", "--kv-cache-memory-bytes=268435456")
ENV = {"HOST": "127.0.0.1", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1", "VLLM_HOST_IP": "127.0.0.1"}
STREAMS = (1, 16, 64)
TOKENS = 64


def start_ours(folder: Path, *flags: str, env: Mapping[str, str] | None = None) -> tuple[Command, str]:
    port = free_port()
    argv = [
        sys.executable,
        "-m",
        "predictors.llm",
        f"--model_name={MODEL}",
        f"--model_dir={ROOT}/model-repository/llm/{MODEL}",
    ]
    argv += [f"--http_port={port}", f"--grpc_port={free_port()}", *FLAGS, *flags]
    command = Command(argv, folder / "ours.log", {**ENV, **(env or {})})
    command.wait_for(f"http://127.0.0.1:{port}/v2/models/{MODEL}/ready")
    return command, f"http://127.0.0.1:{port}/openai/v1/chat/completions"


def start_theirs(folder: Path) -> tuple[Command, str]:
    port = free_port()
    argv = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", f"--model={ROOT}/model-repository/llm/{MODEL}"]
    argv += [
        f"--served-model-name={MODEL}",
        "--host=127.0.0.1",
        f"--port={port}",
        "--disable-uvicorn-access-log",
        *FLAGS,
    ]
    command = Command(argv, folder / "theirs.log", ENV)
    command.wait_for(f"http://127.0.0.1:{port}/health")
    return command, f"http://127.0.0.1:{port}/v1/chat/completions"


def measure(urls: dict[str, str], rounds: int) -> dict[tuple[str, int], list[Round]]:
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Ana has 3 apples and gets 4 more. How many apples does Ana have?"}],
        "stream": True,
        "max_tokens": TOKENS,
        "ignore_eos": True,
        "temperature": 0,
    }
    results: dict[tuple[str, int], list[Round]] = {}
    for url in urls.values():
        asyncio.run(round_of(url, body, 4))
    for number in range(rounds):
        for streams in STREAMS:
            order = list(urls) if number % 2 == 0 else list(reversed(urls))
            for name in order:
                answer = asyncio.run(round_of(urls[name], body, streams, repeat=8 if streams == 1 else 2))
                results.setdefault((name, streams), []).append(answer)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        theirs, their_url = start_theirs(Path(name))
        try:
            ours, our_url = start_ours(Path(name))
            try:
                results = measure({"vllm": their_url, "switchyard": our_url}, options.rounds)
                memory = (ours.tree.pss_mb(), theirs.tree.pss_mb())
            finally:
                ours.stop()
        finally:
            theirs.stop()
    figures = []
    for streams in STREAMS:
        mine, other = results["switchyard", streams], results["vllm", streams]
        speed = ratios([one.tokens_per_second for one in mine], [one.tokens_per_second for one in other])
        added = tuple(a.first_ms() - b.first_ms() for a, b in zip(mine, other, strict=True))
        gaps = ratios([one.gap_ms() for one in mine], [one.gap_ms() for one in other])
        label = f"{streams} streams"
        figures += [
            Figure(name=f"{label}: tokens/s against vLLM's server", unit="x", values=speed, target=">= 0.97"),
            Figure(name=f"{label}: added time to first token", unit="ms p50", values=added, target="<= 2"),
            Figure(name=f"{label}: time between tokens against vLLM's server", unit="x", values=gaps),
            Figure(name=f"{label}: ours", unit="tok/s", values=tuple(one.tokens_per_second for one in mine)),
        ]
    cache = 256.0
    figures.append(Figure(name="memory, ours without KV cache", unit="MB PSS", values=(memory[0] - cache,)))
    figures.append(
        Figure(
            name="memory against vLLM's server, KV cache apart",
            unit="x",
            values=((memory[0] - cache) / (memory[1] - cache),),
            target="<= 0.6",
        )
    )
    publish(
        "models.predictor", figures, {"model": MODEL, "tokens": TOKENS, "rounds": options.rounds, "flags": list(FLAGS)}
    )


if __name__ == "__main__":
    main()
