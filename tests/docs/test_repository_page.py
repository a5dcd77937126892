"""docs/reference/repository.md has every verdict, and its sentences are what is said."""

import re
import shutil
from collections.abc import Iterator

import pytest

from switchyard import chat_rendering
from switchyard.repository.folder import FolderLimits
from switchyard.repository.huggingface import documents, tensors, tokenizer, values
from switchyard.repository.huggingface.inspector import inspect
from switchyard.repository.huggingface.tokenization import effort, growth
from switchyard.repository.inspection import Device, Surroundings
from switchyard.repository.judging import check
from switchyard.repository.names import LONGEST_NAME, name_fault
from switchyard.repository.placement.strays import strays
from switchyard.repository.triton.checks import config, labels, python_model, versions
from switchyard.repository.triton.graphs import completion, graph
from switchyard.repository.verdict import FaultCode
from switchyard.sync.folders import MOST_FOLDERS
from tests.docs.pages import DOCS
from tests.switchyard.repository.corpus import python_models
from tests.switchyard.repository.huggingface.models import REPOSITORY, copy_of
from tests.switchyard.repository.huggingface.test_broken_models import BROKEN, EMBED_BROKEN
from tests.switchyard.repository.huggingface.test_references import REFERENCES
from tests.switchyard.repository.triton.folders import judged, write
from tests.switchyard.repository.triton.test_broken_folders import CONFIGS, GRAPHS, OTHERS
from tests.switchyard.repository.triton.test_ensembles import ENSEMBLE, MISFITS, MODELS

TEXT = (DOCS / "reference/repository.md").read_text()


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """All that the inspector says of the broken folders of its tests."""
    folders = [files for cases in (CONFIGS, GRAPHS, OTHERS) for files, *_ in cases.values()]
    folders += [{"config.pbtxt": ENSEMBLE.replace(old, new, 1)} for old, new, _ in MISFITS]
    sentences = {fault.message for name in ("1", "My_Model") if (fault := name_fault(name, {}))}
    root = tmp_path_factory.mktemp("misplaced") / "model-repository"
    for path in ("vision/digits.onnx", "digits.zip", "nlp/bert/config.json"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    sentences |= {stray.reason for stray in strays(root)}
    for files in folders:
        folder = tmp_path_factory.mktemp("models") / "digits"
        sentences |= {fault.message for fault in judged(write(folder, files), models=MODELS).faults}
    return sentences | set(_of_language_models(tmp_path_factory)) | set(_of_runs(tmp_path_factory))


def _of_runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    for case in python_models.BROKEN:
        if case.name in ("python-raises", "python-has-a-typo", "python-gives-another-type"):
            folder = tmp_path_factory.mktemp("models") / case.name
            case.build(folder)
            yield from (fault.message for fault in check(folder).faults)


def _of_language_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    for model, cases in (("chat-fast", {**BROKEN, **REFERENCES}), ("embed", EMBED_BROKEN)):
        for change, *_ in cases.values():
            folder = copy_of(model, tmp_path_factory.mktemp("models"))
            change(folder)
            yield from (fault.message for fault in inspect(folder, Surroundings()).faults)
            shutil.rmtree(folder)
    small = Surroundings(device=Device(memory=512 << 20))
    yield from (fault.message for fault in inspect(REPOSITORY / "chat-fast", small).faults)


def test_every_verdict_has_a_heading() -> None:
    assert sorted(re.findall(r"^### `(\w+)`$", TEXT, re.MULTILINE)) == sorted(FaultCode)


def test_every_sentence_is_what_is_said(said: set[str]) -> None:
    quoted = re.findall(r"^> (.+)$", TEXT, re.MULTILINE)
    assert len(quoted) > 25
    assert [sentence for sentence in quoted if sentence not in said] == []


def test_every_limit_is_the_code_s() -> None:
    limits, kib, mib = FolderLimits(), 1024, 1024 * 1024
    rows = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|", TEXT.split("## Limits")[1].split("\n## ")[0], re.MULTILINE))
    assert rows["folders of a group that are looked at"] == str(MOST_FOLDERS)
    assert rows["files and folders"] == str(limits.files)
    assert rows["depth; bytes of a path"] == f"{limits.depth}; {limits.path}"
    assert rows["one file; all of them"] == f"{limits.file_bytes >> 30} GiB; {limits.bytes >> 40} TiB"
    assert rows["`config.pbtxt`"] == f"{config.MOST_BYTES // kib} KiB"
    assert rows["a graph"].startswith(f"{(graph.MOST_BYTES + 1) >> 30} GiB, {graph.MOST_NODES} nodes")
    text = (labels.MOST_BYTES // mib, python_model.MOST_BYTES // mib)
    assert rows["a file of labels; of Python"] == "{} MiB; {} MiB".format(*text)
    assert rows["instances of a model"] == str(config.MOST_INSTANCES)
    assert rows["versions that are looked at"] == str(versions.MOST_VERSIONS)
    small, large = documents.JSON_BYTES // mib, tokenizer.TOKENIZER_BYTES // mib
    assert rows["a configuration of a language model; a tokenizer"] == f"{small} MiB; {large} MiB"
    assert rows["the header of a `*.safetensors`"] == f"{tensors.HEADER_BYTES // mib} MiB"
    assert rows["a chat template"] == f"{chat_rendering.TEMPLATE_BYTES // mib} MiB, {chat_rendering.STEPS} steps"
    assert rows["what a normalizer or decoder makes of a byte"] == f"{growth.GROWTH} bytes"
    assert rows["a tokenizer's regular expressions"] == f"{effort.PATTERNS} of {effort.PATTERN_CHARACTERS} characters"
    assert f"up to {values.MOST_BYTES >> 30} GiB all of them" in TEXT
    assert f"at most {LONGEST_NAME} characters" in TEXT
    assert f"`max_batch_size: {completion.BATCH}`" in TEXT
