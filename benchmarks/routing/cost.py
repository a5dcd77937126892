"""What a decision costs: the score alone, and the predictor as a process over HTTP."""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import orjson

from benchmarks.load import Request, saturate
from benchmarks.processes import ROOT, Command, free_port
from benchmarks.report import Figure
from predictors.complexity.classifier.scorers import make_scorer
from predictors.complexity.classifier.tokens import MAX_CHARACTERS, Text

FOLDER = ROOT / "model-repository" / "complexity"
ROUNDS = 3
SECONDS = 3.0


def score_cost(texts: list[str]) -> list[Figure]:
    """Milliseconds for a score of each text, and of the longest one that is read whole."""
    scorer = make_scorer("learned", FOLDER, "demo")
    long = " ".join(texts)[:MAX_CHARACTERS]
    figures = []
    for name, given in (("demo conversations", texts), (f"{MAX_CHARACTERS} characters", [long] * 400)):
        taken = []
        for text in given:
            began = time.perf_counter()
            scorer.score(Text.of(text))
            taken.append(1000 * (time.perf_counter() - began))
        for percent, target in ((50, "<= 1"), (99, "<= 5")):
            values = (float(np.percentile(taken, percent)),)
            figures.append(Figure(name=f"score, {name}, p{percent}", unit="ms", values=values, target=target))
    return figures


def predictor_cost(text: str) -> list[Figure]:
    """Latency with one client, processor time with eight, and memory, the store included."""
    body = orjson.dumps({"model": "auto", "stream": True, "messages": [{"role": "user", "content": text}]})
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        argv = [sys.executable, "-m", "predictors.complexity", "--model_name=complexity", f"--model_dir={FOLDER}"]
        argv += [f"--http_port={port}", "--fast=chat-fast", "--reasoning=chat-reasoning", "--domain=demo"]
        env = {"HOST": "127.0.0.1", "STORE_URL": f"sqlite://{folder}/store.db"}
        began = time.perf_counter()
        process = Command(argv, Path(folder) / "log", env)
        try:
            process.wait_for(f"{url}/v2/models/complexity/ready")
            start = time.perf_counter() - began
            return [*_loaded(process, Request.post(f"{url}/", body)), *_standing(process, start)]
        finally:
            process.stop()


def _loaded(process: Command, request: Request) -> list[Figure]:
    half, tail, cost = [], [], []
    for _ in range(ROUNDS):
        one = asyncio.run(saturate(request, 1, SECONDS))
        half.append(1000 * float(np.percentile(one.seconds, 50)))
        tail.append(1000 * float(np.percentile(one.seconds, 99)))
        before = process.tree.cpu_ms()
        many = asyncio.run(saturate(request, 8, SECONDS))
        cost.append((process.tree.cpu_ms() - before) / many.answers)
    per_core = tuple(1000 / milliseconds for milliseconds in cost)
    return [
        Figure(name="decision over HTTP, p50", unit="ms", values=tuple(half), target="<= 1"),
        Figure(name="decision over HTTP, p99", unit="ms", values=tuple(tail), target="<= 5"),
        Figure(name="processor time per decision", unit="ms", values=tuple(cost)),
        Figure(name="decisions per second and core", unit="1/s", values=per_core, target=">= 1000"),
    ]


def _standing(process: Command, start: float) -> list[Figure]:
    return [
        Figure(name="predictor's memory (PSS)", unit="MB", values=(process.tree.pss_mb(),)),
        Figure(name="predictor's start", unit="s", values=(start,)),
    ]
