"""Figures that pages name in passing are those of the code, the manifests and the models."""

import json
import re
from dataclasses import asdict
from pathlib import Path

from safetensors import safe_open

from predictors.vision.images.inference import MAX_LABELS
from predictors.vision.rest.forwarding import _MAX_HEADER_BYTES
from predictors.vision.settings import VisionSettings
from predictors.vision.triton.backends.onnxruntime import run_time
from switchyard.backoff import ConsecutiveFailures
from switchyard.local.activator.application import ATTEMPTS
from switchyard.local.activator.request_queue import QueueLimits
from switchyard.local.plan.scale import _DEFAULT_WINDOW
from switchyard.local.processes.start import PROBE_SECONDS
from switchyard.local.replicas.deployment import _BACKOFF
from switchyard.local.replicas.recovery import CRASHES
from switchyard.local.status.run_directory import _EARLIER_RUNS
from switchyard.telemetry.histogram import TRACE_ID
from tests.docs.pages import DOCS, ROOT
from tests.test_shape import FILE_LINES, FUNCTION_LINES, MODULES, TEST_FILE_LINES
from tests.testdata.schemas.make import GATEWAY_API, KSERVE, KUBERNETES

MODELS = ROOT / "model-repository"
IN_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")


def words(page: Path) -> str:
    return " ".join(page.read_text().split())


def test_of_local_mode() -> None:
    page, queue, restarts = words(DOCS / "concepts/local-mode.md"), QueueLimits(), ConsecutiveFailures().backoff

    assert f"{queue.requests} requests and {queue.body_bytes >> 20} MiB of bodies per service" in page
    assert f"probed every {PROBE_SECONDS * 1000:g} ms" in page
    assert f"`window` ({_DEFAULT_WINDOW:g} s)" in page
    assert f"the next start waits {restarts.first:g} s, doubling to {restarts.most:g} s" in page
    assert f"after {IN_WORDS[CRASHES]} in a row" in page
    assert f"{IN_WORDS[ATTEMPTS]} attempts, then 502" in page
    assert f"pauses of at most {_BACKOFF.most:g} s" in page
    assert f"the {IN_WORDS[_EARLIER_RUNS]} runs before it are in `logs.1` to `logs.{_EARLIER_RUNS}`" in page


def test_of_exemplars() -> None:
    assert f"exemplarTraceIdDestinations: [{{name: {TRACE_ID}," in words(DOCS / "how-to/trace-a-request.md")


def test_of_vision() -> None:
    text = (DOCS / "concepts/vision.md").read_text()
    shipped = (ROOT / "manifests/services/vision/settings.env").read_text()
    rows = {name: re.findall(r"\d+", told) for name, told in re.findall(r"^\| `([A-Z_]+)` \| ([^|]+) \|", text, re.M)}

    assert rows.keys() == {name.upper() for name in asdict(VisionSettings())}
    for name, default in asdict(VisionSettings()).items():
        assert rows[name.upper()][0] == str(default)
        assert f"\n{name.upper()}={rows[name.upper()][-1]}\n" in shipped, "the last figure of a row is what is shipped"
    assert f"headers of more than {_MAX_HEADER_BYTES} bytes (431)" in words(DOCS / "concepts/vision.md")
    assert f"1 to {MAX_LABELS}, by default 5" in text
    assert f"`RUN_SECONDS` ({run_time.SECONDS:g}, " in text


def test_of_the_demo_models() -> None:
    page = words(DOCS / "reference/demo-models.md")
    for name in ("chat-fast", "chat-reasoning"):
        config = json.loads((MODELS / "llm" / name / "config.json").read_text())
        vocabulary = json.loads((MODELS / "llm" / name / "tokenizer.json").read_text())["model"]["vocab"]
        with safe_open(MODELS / "llm" / name / "model.safetensors", "numpy") as file:
            millions = sum(file.get_tensor(key).size for key in file.keys()) / 1e6  # noqa: SIM118 - it has no other way
        layers, width = config["num_hidden_layers"], config["hidden_size"]
        assert f"models of {millions:.2f} million parameters ({layers} layers, width {width}" in page
        assert f"vocabulary of {len(vocabulary)} tokens" in page
        assert f"They accept {config['max_position_embeddings']} tokens" in page


def test_of_what_is_served() -> None:
    vision = [path.parent.name for path in (MODELS / "vision").glob("*/config.pbtxt")]
    samples = [path for path in (ROOT / "manifests/graphs/samples").glob("*.yaml") if path.name != "kustomization.yaml"]

    assert f"wakes Triton with {IN_WORDS[len(vision)]} small models" in words(DOCS / "quickstart.md")
    page = words(DOCS / "how-to/add-a-graph.md")
    assert f"serves {IN_WORDS[len(samples) + 1]} graphs: `auto`," in page
    assert f"and {IN_WORDS[len(samples)]} samples to copy" in page


def test_of_sizes_and_versions() -> None:
    page = words(ROOT / "CONTRIBUTING.md")
    assert f"files of at most {FILE_LINES} lines (tests {TEST_FILE_LINES})" in page
    assert f"functions of at most {FUNCTION_LINES}, folders of at most {MODULES} modules" in page

    names = zip(("Kubernetes", "KServe", "Gateway API"), (KUBERNETES, KSERVE, GATEWAY_API), strict=True)
    told = [f"{name} {'.'.join(module.split('@v')[1].split('.')[:2])}" for name, module in names]
    assert f"the schemas of {', '.join(told)} and prometheus-operator" in words(DOCS / "reference/overlays.md")
