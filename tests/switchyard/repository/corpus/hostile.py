"""Folders that somebody made to do harm, or that would do it all the same: each is judged, and nothing else happens."""

import os
import pickle
import socket
import struct
import tempfile
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np

from switchyard.repository.verdict import FaultCode as C
from tests.switchyard.repository.corpus.case import Build, Case, Wrong, no_llm, no_vision
from tests.switchyard.repository.corpus.chat_good import chat
from tests.switchyard.repository.corpus.graphs import (
    CONFIG,
    FLOAT,
    X,
    external,
    loop,
    model,
    node,
    packed,
    put,
    relu,
    save,
)
from tests.switchyard.repository.huggingface.models import edit, with_header, write

ONNX = "1/model.onnx"
_GOOD = save(relu(), CONFIG)
_GROWING = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 1000}


def _with(change: Build) -> Build:
    """A good vision model to which something is done."""

    def build(folder: Path) -> None:
        _GOOD(folder)
        change(folder)

    return build


def _socket(folder: Path) -> None:
    here = os.open(folder, os.O_PATH)  # a path of a socket has 108 bytes at most
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(f"/proc/self/fd/{here}/control")
    finally:
        os.close(here)


def _only_a_link(folder: Path) -> None:
    """The folder itself is a link to a good model."""
    folder.rmdir()
    real = folder.parent.parent / ".elsewhere" / folder.name
    _GOOD(real)
    folder.symlink_to(real)


def _a_file(folder: Path) -> None:
    folder.rmdir()
    folder.write_bytes(packed(relu()))


def _deep(folder: Path) -> None:
    put(folder, "/".join("abcdefghijkl") + "/file", b"")


def _many(folder: Path) -> None:
    (folder / "many").mkdir()
    for number in range(5000):
        (folder / "many" / str(number)).touch()


def _sparse(folder: Path) -> None:
    """300 GB that take no room."""
    put(folder, "2/model.onnx", b"\x08")
    os.truncate(folder / "2/model.onnx", 300 << 30)


def _bomb() -> bytes:
    """A zip archive of a megabyte for each of its kilobytes."""
    made = BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.pkl", bytes(1 << 24))
    return made.getvalue()


TRACE = Path(tempfile.gettempdir()) / "switchyard-corpus-was-run"


class _Runs:
    """Leaves ``TRACE`` when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(TRACE),)


def _crash() -> bytes:
    """A tree of 100 000 nodes below each other, through which ONNX Runtime recurses until its stack ends."""
    depth = 100_000
    nodes = range(2 * depth + 1)
    leaves = depth + 1
    zeros = [0] * len(nodes)
    tree = node(
        *("TreeEnsembleRegressor", "x", "y"),
        domain="ai.onnx.ml",
        n_targets=1,
        nodes_treeids=zeros,
        nodes_nodeids=list(nodes),
        nodes_featureids=zeros,
        nodes_modes=["BRANCH_LEQ"] * depth + ["LEAF"] * leaves,
        nodes_values=[-1.0] * len(nodes),
        nodes_truenodeids=[*range(depth + 1, 2 * depth + 1), *[0] * leaves],
        nodes_falsenodeids=[*range(1, depth + 1), *[0] * leaves],
        target_treeids=[0] * leaves,
        target_nodeids=list(range(depth, 2 * depth + 1)),
        target_ids=[0] * leaves,
        target_weights=[1.0] * leaves,
    )
    return packed(model([tree], outputs={"y": (FLOAT, ["batch", 1])}, domains={"ai.onnx.ml": 1}))


def _eats() -> bytes:
    """Makes 400 GB of zeros."""
    nodes = [
        node("ConstantOfShape", "shape", "zeros"),
        node("ReduceSum", "zeros", "sum", keepdims=0),
        node("Add", "x sum", "y"),
    ]
    return packed(model(nodes, weights={"shape": np.array([100_000, 1_000_000])}))


def _grows() -> bytes:
    """Doubles its input forty times, which no shape tells."""
    nodes = [node("Concat", f"x{n} x{n}", f"x{n + 1}", axis=0) for n in range(40)]
    nodes = [node("Identity", "x", "x0"), *nodes, node("Identity", "x40", "y")]
    return packed(model(nodes, X, {"y": (FLOAT, ["rows", 4])}))


def _branches() -> bytes:
    """An ``If`` within an ``If``, 2 000 times: a field of protobuf within a field."""

    def field(number: int, content: bytes) -> bytes:
        size, length = len(content), b""
        while size >= 0x80:
            length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
        return bytes([number << 3 | 2]) + length + bytes([size]) + content

    graph = b""
    for _ in range(2000):
        branch = field(1, b"then_branch") + field(6, graph)  # AttributeProto
        graph = field(1, field(4, b"If") + field(5, branch))  # NodeProto in GraphProto
    return b"\x08\x08" + field(7, graph)


def _many_nodes() -> bytes:
    return packed(model([node("Relu", "x", "y")] * 200_001))


def _long_name(folder: Path) -> None:
    put(folder, "a\nb\x1b[31m.onnx", b"")


FOLDERS: tuple[Case, ...] = (
    no_vision(
        "a-link-to-a-file",
        _with(lambda folder: (folder / "labels.txt").symlink_to("/etc/passwd")),
        C.LINK,
        "labels.txt",
        "cp -rL",
    ),
    no_vision(
        "a-link-to-a-folder", _with(lambda folder: (folder / "2").symlink_to(folder / "1")), C.LINK, "2", "cp -rL"
    ),
    no_vision("only-a-link", _only_a_link, C.LINK, "", "cp -rL"),
    no_vision("a-pipe", _with(lambda folder: os.mkfifo(folder / "1/pipe")), C.SPECIAL_FILE, "1/pipe", "remove it"),
    no_vision("a-socket", _with(_socket), C.SPECIAL_FILE, "control", "remove it"),
    no_vision(
        "two-cases",
        _with(lambda folder: put(folder, "Config.pbtxt", b"")),
        C.CASE_COLLISION,
        "config.pbtxt",
        "rename or remove one",
    ),
    no_vision("control-characters", _with(_long_name), C.NAME, "", "'a\\nb\\x1b[31m.onnx'", "control characters"),
    no_vision(
        "no-utf-8",
        _with(lambda folder: put(Path(os.fsdecode(bytes(folder) + b"/\xff\xfe")), "x", b"")),
        C.NAME,
        "",
        "not UTF-8",
    ),
    no_vision("twelve-folders-deep", _with(_deep), C.TOO_LARGE, "a/b/c/d/e/f/g/h/i", "leave only what the model needs"),
    no_vision("five-thousand-files", _with(_many), C.TOO_LARGE, "", "4096 files", "leave only what"),
    no_vision("a-file-of-300-gigabytes", _with(_sparse), C.TOO_LARGE, "2/model.onnx", "leave only what"),
    no_vision("nothing", lambda folder: None, C.INCOMPLETE, "", "copy the model's files into it"),
    # A running sync takes no file beside the models for one: it may be a README.
    replace(no_vision("a-file", _a_file, C.UNREADABLE, "", "a folder of this name"), alone=True),
    no_vision(
        "still-being-downloaded",
        _with(lambda folder: put(folder, "1/model.onnx.part", b"")),
        C.INCOMPLETE,
        "1/model.onnx.part",
        "wait for it",
    ),
    no_vision("Capital_Letters", _GOOD, C.NAME, "", "rename the folder to 'capital-letters'"),
    no_vision("x" * 60, _GOOD, C.NAME, "", "60 characters", "at most 53"),
    Case(
        name="complexity",
        group="vision",
        build=_GOOD,
        taken={"complexity": "InferenceService complexity"},
        alone=True,
        wrong=Wrong(code=C.NAME, file="", words=("taken by InferenceService complexity", "rename")),
    ),
)

MODELS: tuple[Case, ...] = (
    no_vision(
        "pickle-beside",
        _with(lambda folder: put(folder, "1/scaler.pkl", pickle.dumps(_Runs()))),
        C.PICKLE,
        "1/scaler.pkl",
        "remove it",
    ),
    no_vision(
        "pickle-as-onnx",
        lambda folder: put(folder, ONNX, pickle.dumps(_Runs())),
        C.PICKLE,
        ONNX,
        "is a pickle",
        "export the model to ONNX",
    ),
    no_vision(
        "zip-bomb-as-onnx",
        lambda folder: put(folder, ONNX, _bomb()),
        C.PICKLE,
        ONNX,
        "zip archive",
        "export the model to ONNX",
    ),
    no_vision(
        "zip-bomb-as-bin",
        _with(lambda folder: put(folder, "1/weights.bin", _bomb())),
        C.PICKLE,
        "1/weights.bin",
        "remove it",
    ),
    no_vision(
        "a-library",
        _with(lambda folder: put(folder, "1/ops.so", b"\x7fELF")),
        C.PICKLE,
        "1/ops.so",
        "compiled code",
        "remove it",
    ),
    no_vision(
        "weights-of-the-system",
        lambda folder: external(folder, location="../../../../etc/passwd"),
        C.LINK,
        ONNX,
        "weights in a file beside it",
    ),
    no_vision(
        "weights-by-an-absolute-path",
        lambda folder: external(folder, location="/etc/passwd"),
        C.LINK,
        ONNX,
        "weights in a file beside it",
    ),
    no_vision(
        "labels-of-the-system",
        save(relu(), CONFIG.removesuffix("}\n") + 'label_filename: "../../../etc/passwd" }\n'),
        C.LINK,
        "config.pbtxt",
        "copy the file into it",
    ),
    no_vision(
        "a-file-elsewhere",
        save(relu(), CONFIG + 'default_model_filename: "../../../other/1/model.onnx"\n'),
        C.CONFIG,
        "config.pbtxt",
        "write a file in it",
    ),
    no_vision(
        "a-config-of-brackets", save(relu(), "input { dims: " + "[" * 100_000), C.CONFIG, "config.pbtxt", "correct it"
    ),
    no_vision(
        "a-config-of-a-megabyte", save(relu(), "# " + "x" * 1_000_000), C.TOO_LARGE, "config.pbtxt", "it holds no data"
    ),
    no_vision(
        "too-many-branches", lambda folder: put(folder, ONNX, _branches()), C.INCOMPLETE, ONNX, "cut off or damaged"
    ),
    no_vision(
        "many-nodes",
        lambda folder: put(folder, ONNX, _many_nodes()),
        C.TOO_LARGE,
        ONNX,
        "200000 nodes",
        "simplify the graph",
    ),
    no_vision(
        "a-quintillion-values",
        save(relu(), CONFIG.replace("dims: [4]", "dims: [1073741824, 1073741824]")),
        C.CONFIG,
        "config.pbtxt",
        "sizes from 1",
    ),
    no_vision(
        "crashes",
        lambda folder: put(folder, ONNX, _crash()),
        C.SMOKE,
        "",
        "crashed (SIGSEGV)",
        "export the model again",
    ),
    no_vision("never-ends", save(loop(1 << 60)), C.LIMIT, "", "more time than a check may", "smaller", slow=True),
    no_vision("eats-memory", lambda folder: put(folder, ONNX, _eats()), C.LIMIT, ONNX, "more memory", "smaller"),
    no_vision("grows-without-end", lambda folder: put(folder, ONNX, _grows()), C.LIMIT, ONNX, "more memory", "smaller"),
    no_llm(
        "two-gigabytes-of-header",
        chat(write("model.safetensors", struct.pack("<Q", 2 << 30) + b"{}")),
        C.TOO_LARGE,
        "model.safetensors",
        "export the model again",
    ),
    no_llm(
        "a-header-of-2-to-the-63",
        chat(write("model.safetensors", struct.pack("<Q", 1 << 63) + b"{}")),
        C.TOO_LARGE,
        "model.safetensors",
        "export the model again",
    ),
    no_llm(
        "a-tensor-of-2-to-the-60",
        chat(
            write(
                "model.safetensors",
                with_header(b'{"a":{"dtype":"F32","shape":[1152921504606846976,16],"data_offsets":[0,4]}}', bytes(4)),
            )
        ),
        C.WEIGHTS,
        "model.safetensors",
        "no valid safetensors file",
    ),
    no_llm(
        "a-header-of-brackets",
        chat(write("model.safetensors", with_header(b"[" * 100_000))),
        C.WEIGHTS,
        "model.safetensors",
        "no valid safetensors file",
    ),
    no_llm(
        "pickle-as-safetensors",
        chat(write("model.safetensors", pickle.dumps(_Runs()))),
        C.TOO_LARGE,
        "model.safetensors",
        "export the model again",
    ),
    no_llm(
        "pickle-as-bin",
        chat(write("pytorch_model.bin", pickle.dumps(_Runs()))),
        C.PICKLE,
        "pytorch_model.bin",
        "model.safetensors",
    ),
    no_llm("code-of-its-own", chat(write("modeling_x.py", "import os\n")), C.PICKLE, "modeling_x.py", "remove it"),
    no_llm(
        "names-code-of-its-own",
        chat(edit("config.json", auto_map={"AutoModel": "modeling_x.X"})),
        C.PICKLE,
        "config.json",
        'remove "auto_map"',
    ),
    no_llm(
        "a-config-of-brackets-too",
        chat(write("config.json", "[" * 200_000)),
        C.MODEL_CONFIG,
        "config.json",
        "nests too deeply",
    ),
    no_llm(
        "a-config-of-five-megabytes",
        chat(write("config.json", '{"a": "' + "x" * 5_000_000 + '"}')),
        C.TOO_LARGE,
        "config.json",
        "replace it",
    ),
    no_llm(
        "a-number-of-ten-thousand-digits",
        chat(write("config.json", '{"vocab_size": ' + "9" * 10_000 + "}")),
        C.MODEL_CONFIG,
        "config.json",
        "digits",
    ),
    no_llm(
        "layers-without-number",
        chat(edit("config.json", num_hidden_layers=1 << 39)),
        C.WEIGHTS,
        "config.json",
        "num_hidden_layers is 549755813888",
    ),
    no_llm(
        "a-template-without-end",
        chat(
            write(
                "chat_template.jinja", "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
            )
        ),
        C.CHAT_TEMPLATE,
        "chat_template.jinja",
        "within bounds",
        "orrect the template",
    ),
    no_llm(
        "a-template-without-end-for-three-messages",
        chat(
            write(
                "chat_template.jinja",
                "{% for m in messages %}{{ m.content }}{% endfor %}{% if messages | length == 3 %}"
                "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}{% endif %}",
            )
        ),
        C.CHAT_TEMPLATE,
        "chat_template.jinja",
        "within bounds",
        "orrect the template",
    ),
    no_llm(
        "a-normalizer-that-blows-up",
        chat(edit("tokenizer.json", normalizer={"type": "Sequence", "normalizers": [_GROWING, _GROWING]})),
        C.TOKENIZER,
        "tokenizer.json",
        "makes 1000 bytes of 1",
        "copy the model's own",
    ),
    no_llm(
        "a-pattern-without-end",
        chat(
            edit(
                "tokenizer.json",
                pre_tokenizer={
                    "type": "Split",
                    "pattern": {"Regex": "(a+)+b"},
                    "behavior": "Isolated",
                    "invert": False,
                },
            )
        ),
        C.TOKENIZER,
        "tokenizer.json",
        "repeats what repeats within",
        "copy the model's own",
    ),
    no_llm(
        "an-infinite-number",
        chat(edit("config.json", rope_theta=float("inf"))),
        C.MODEL_CONFIG,
        "config.json",
        "rope_theta is inf",
        "write a finite number",
    ),
    no_llm(
        "a-template-that-eats",
        chat(write("chat_template.jinja", "{{ 'x' * 9999999999 }}")),
        C.CHAT_TEMPLATE,
        "chat_template.jinja",
        "within bounds",
        "orrect the template",
    ),
    no_llm(
        "a-template-that-escapes",
        chat(write("chat_template.jinja", "{{ ''.__class__.__mro__[1].__subclasses__() }}")),
        C.CHAT_TEMPLATE,
        "chat_template.jinja",
        "is unsafe",
        "correct the template",
    ),
    no_llm(
        "a-template-that-calls-itself",
        chat(write("chat_template.jinja", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}")),
        C.CHAT_TEMPLATE,
        "chat_template.jinja",
        "too deeply",
        "orrect the template",
    ),
)

CASES = (*FOLDERS, *MODELS)
