"""``python -m benchmarks.gpu [--model DIR]``: what a machine with a GPU reaches; untried, as none was here.

The whole platform from the overlay ``local-gpu``: the wake of a sleeping model, both tiers through the gateway, and
tokens per second. Then one model (``DIR`` in Hugging Face layout, or chat-reasoning) on a predictor alone, in its own
precision and in 4 bits, with the memory that it takes of the GPU. Where no GPU can be used it says so and ends.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import platform
from benchmarks.processes import ROOT, Command, free_port, wait_for
from benchmarks.report import Figure, publish
from benchmarks.streams import Round, ask, round_of
from switchyard.devices.choice import Choice
from switchyard.local.supervisor.project import DEFAULT_OVERLAYS, device_of

TIERS = {"chat-fast": 100, "chat-reasoning": 500}  # ms to the first token
STREAMS = (1, 16, 64)
TOKENS = 64
ENV = {"HOST": "127.0.0.1", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1", "VLLM_HOST_IP": "127.0.0.1"}


def body(model: str, tokens: int = TOKENS) -> Mapping[str, Any]:
    question = "Ana has 3 apples and gets 4 more. How many apples does Ana have?"
    return {
        "model": model,
        "messages": [{"role": "user", "content": question}],
        "stream": True,
        "max_tokens": tokens,
        "ignore_eos": True,
        "temperature": 0,
    }


def speed(url: str, model: str, streams: int) -> Round:
    return asyncio.run(round_of(url, body(model), streams, repeat=8 if streams == 1 else 2))


def of_platform(overlay: str, rounds: int) -> list[Figure]:
    """Wake, tiers and tokens per second through the gateway."""
    wakes: list[float] = []
    figures = []
    with platform.running(window="6s", of=overlay) as running:
        url = f"{running.url}/v1/chat/completions"
        for model in TIERS:
            asyncio.run(ask(url, body(model, 1)))  # also waits for the preloaded parent
        for _ in range(rounds):
            wait_for(lambda: running.state("chat-fast") == "asleep", "chat-fast asleep")
            wakes.append(asyncio.run(ask(url, body("chat-fast", 1))).first)
        figures.append(Figure(name="sleeping model, to the first token", unit="s", values=tuple(wakes), target="<= 5"))
        for model, most in TIERS.items():
            asyncio.run(ask(url, body(model, 1)))
            firsts = tuple(asyncio.run(ask(url, body(model, 1))).first * 1000 for _ in range(10 * rounds))
            figures.append(Figure(name=f"{model}, to the first token", unit="ms", values=firsts, target=f"<= {most}"))
        for streams in STREAMS:
            values = tuple(speed(url, "chat-fast", streams).tokens_per_second for _ in range(rounds))
            figures.append(Figure(name=f"chat-fast, {streams} streams", unit="tok/s", values=values))
    return figures


def of_predictor(model: Path, device: Choice, rounds: int, four_bits: bool) -> list[Figure]:
    """Start, speed and memory of one model on a predictor alone."""
    precision, used = "4 bits" if four_bits else "own precision", gpu_memory(device)
    with tempfile.TemporaryDirectory() as name:
        port = free_port()
        argv = [sys.executable, "-m", "predictors.llm", "--model_name=model", f"--model_dir={model}"]
        argv += [f"--http_port={port}", f"--grpc_port={free_port()}", "--kv-cache-memory-bytes=2147483648"]
        began = time.monotonic()
        command = Command(
            argv, Path(name) / "log", {**ENV, **device.environment, "USE_4BIT": "true" if four_bits else "false"}
        )
        try:
            command.wait_for(f"http://127.0.0.1:{port}/v2/models/model/ready")
            figures = [Figure(name=f"{precision}: start of the process", unit="s", values=(time.monotonic() - began,))]
            if used is not None and (now := gpu_memory(device)) is not None:
                figures.append(Figure(name=f"{precision}: memory of the GPU", unit="MB", values=(now - used,)))
            url = f"http://127.0.0.1:{port}/openai/v1/chat/completions"
            for streams in STREAMS:
                values = tuple(speed(url, "model", streams).tokens_per_second for _ in range(rounds))
                figures.append(Figure(name=f"{precision}: {streams} streams", unit="tok/s", values=values))
        finally:
            command.stop()
    return figures


def gpu_memory(device: Choice) -> float | None:
    """What is used of the device's memory, in MB; None where nvidia-smi does not say, as for MIG devices."""
    argv = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", f"--id={device.visible}"]
    try:
        return float(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "model-repository/llm/chat-reasoning")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--on-cpu", action="store_true", help="try the command itself, without a GPU and 4 bits")
    options = parser.parse_args()
    device = device_of(os.environ)
    if device.kind == "cpu" and not options.on_cpu:
        sys.exit(f"{device.sentence}. Nothing to measure here: docs/how-to/use-a-gpu.md")
    figures = of_platform(DEFAULT_OVERLAYS[device.kind].name, options.rounds)
    for four_bits in (False, True) if device.kind == "cuda" else (False,):
        figures += of_predictor(options.model.resolve(), device, options.rounds, four_bits)
    name = "gpu" if device.kind == "cuda" else "gpu-tried-on-cpu"
    publish(name, figures, {"device": device.sentence, "model": options.model.name, "rounds": options.rounds})


if __name__ == "__main__":
    main()
