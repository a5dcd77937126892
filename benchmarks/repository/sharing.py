"""``python -m benchmarks.repository.sharing``: what two replicas share of a model's weights, in two minutes and 5 GiB.

A model is published under two names, a process opens each, as its engine does, and runs it once. Then the kernel says
what of the weights' file they map, where a page that both have counts half for each (Pss), and what is each one's own.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

from benchmarks.report import Figure, publish
from benchmarks.repository.models import CHAT
from switchyard.repository.folder import hash_files, list_files
from switchyard.repository.publishing import Published
from switchyard.repository.verdict import Facts, Group, Memory

NAMES = ("one", "two")
ENV = {**os.environ, "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_LOGGING_LEVEL": "ERROR", "VLLM_NO_USAGE_STATS": "1"}
MIB = 1 << 20
ROWS, COLUMNS = 4096, 8192  # 128 MiB of float32
HIDDEN, LAYERS, INNER = 1024, 8, 2816  # 396 MiB of float32
KINDS: Mapping[str, Group] = {"onnx": "vision", "onnx-without-prepacking": "vision", "vllm": "llm"}


def write_onnx(folder: Path) -> None:
    """Write a network of one multiplication, whose weights lie in a file of their own."""
    weights = np.random.default_rng(0).standard_normal((ROWS, COLUMNS), dtype=np.float32)
    sizes = {"x": ROWS, "y": COLUMNS}
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size]) for name, size in sizes.items()]
    node = helper.make_node("MatMul", ["x", "weights"], ["y"])
    graph = helper.make_graph([node], "product", values[:1], values[1:], [numpy_helper.from_array(weights, "weights")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (folder / "1").mkdir(parents=True)
    onnx.save(model, folder / "1/model.onnx", save_as_external_data=True, location="weights.bin")


def write_llama(folder: Path) -> None:
    """Write a larger model with the tokenizer of ours, and numbers by chance."""
    folder.mkdir(parents=True)
    for file in CHAT.iterdir():
        if file.suffix in (".json", ".jinja"):
            (folder / file.name).write_bytes(file.read_bytes())
    config = json.loads((CHAT / "config.json").read_text())
    sizes = {"hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "intermediate_size": INNER, "head_dim": 128}
    heads = {"num_attention_heads": 8, "num_key_value_heads": 8}
    (folder / "config.json").write_text(json.dumps({**config, **sizes, **heads}))
    chance = np.random.default_rng(0)
    shapes = {"model.embed_tokens": (config["vocab_size"], HIDDEN), "model.norm": (HIDDEN,)}
    for index in range(LAYERS):
        layer = f"model.layers.{index}"
        shapes |= {f"{layer}.self_attn.{name}_proj": (HIDDEN, HIDDEN) for name in "qkvo"}
        shapes |= {f"{layer}.mlp.{name}_proj": (INNER, HIDDEN) for name in ("gate", "up")}
        shapes |= {f"{layer}.mlp.down_proj": (HIDDEN, INNER)}
        shapes |= {f"{layer}.{name}_layernorm": (HIDDEN,) for name in ("input", "post_attention")}
    tensors = {f"{name}.weight": chance.standard_normal(shape, dtype=np.float32) / 50 for name, shape in shapes.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def open_onnx(folder: Path, kind: str) -> object:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    if kind != "onnx":
        options.add_session_config_entry("session.disable_prepacking", "1")
    session = onnxruntime.InferenceSession(str(folder / "1/model.onnx"), options)
    session.run(None, {"x": np.zeros((1, ROWS), np.float32)})
    return session


def open_vllm(folder: Path, kind: str) -> object:
    del kind
    from vllm import LLM, SamplingParams

    # As components/cpu, with 256 MiB of KV cache.
    model = LLM(str(folder), dtype="float32", enforce_eager=True, max_model_len=256, kv_cache_memory_bytes=256 * MIB)
    model.generate(["hello"], SamplingParams(max_tokens=2), use_tqdm=False)
    return model


def replica(kind: str, folder: Path) -> None:
    """Open a model, say so, and keep it until standard input ends."""
    model = (open_vllm if kind == "vllm" else open_onnx)(folder, kind)
    print("open", flush=True)
    sys.stdin.read()
    del model


def memory(pid: int, folder: Path) -> tuple[float, float]:
    """MiB of the files below ``folder`` in a process, shared pages by their share, and of its own pages."""
    mapped = own = 0
    inside = False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            inside = str(folder) in line
        elif inside and line.startswith("Pss:"):
            mapped += int(line.split()[1])
        elif line.startswith("Private_Dirty:"):
            own += int(line.split()[1])
    return mapped / 1024, own / 1024


def measure(kind: str, root: Path) -> list[Figure]:
    """Publish a model under two names below ``root``, and open both."""
    group = KINDS[kind]
    incoming = root / "incoming"
    (write_llama if kind == "vllm" else write_onnx)(incoming)
    published = Published(root / "p")
    published.recover()
    facts = Facts(format="huggingface", kind="llm", bytes=0, memory=Memory(weights=0))
    for name in NAMES:
        staged = published.stage(incoming, list_files(incoming, group), name=name)
        manifest = hash_files(staged.folder, list_files(staged.folder, group))
        published.publish(staged, manifest, facts, group=group, name=name)
        published.discard(staged)
    with ExitStack() as ends:
        processes = []
        for name in NAMES:
            command = [
                sys.executable,
                "-m",
                "benchmarks.repository.sharing",
                "--replica",
                kind,
                str(root / "p" / group / name),
            ]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENV, text=True)
            ends.enter_context(process)
            processes.append(process)
            assert process.stdout
            while (line := process.stdout.readline()) != "open\n":
                assert line, f"{kind} did not open {name}"
        found = [memory(process.pid, (root / "p").resolve()) for process in processes]
        for process in processes:
            process.kill()
    mapped, own = zip(*found, strict=True)
    return [
        Figure(name=f"{kind}: weights mapped, Pss", unit="MiB", values=mapped),
        Figure(name=f"{kind}: pages of its own", unit="MiB", values=own),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--replica", nargs=2, metavar=("KIND", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.replica:
        replica(arguments.replica[0], Path(arguments.replica[1]))
        return
    figures = []
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            figures += measure(kind, Path(folder))
    publish("repository-sharing", figures, {"onnx": f"{ROWS * COLUMNS * 4 // MIB} MiB", "vllm": "396 MiB, float32"})


if __name__ == "__main__":
    main()
