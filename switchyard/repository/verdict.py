"""What is said of a model's folder: the faults because of which it is not served, or the facts of what is served.

Every part of the platform says it in the same words: ``status.json``, the catalog, the terminal, ``/v1/models`` and
``/v2/repository/index``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

Group = Literal["vision", "llm"]  # the folders of model-repository/ that hold models
Kind = Literal["vision", "llm", "embedding"]
Format = Literal["onnx", "python", "ensemble", "huggingface"]


class FaultCode(StrEnum):
    """The kinds of faults: labels of metrics, and headings of docs/reference/repository.md."""

    # Of any folder.
    NAME = "name"  # not kebab-case, or another model has it
    MISPLACED = "misplaced"  # it lies where no model can be
    INCOMPLETE = "incomplete"  # a file is missing that another one names; it may still be being copied
    LINK = "link"  # a symbolic link, or a path that leaves the folder
    SPECIAL_FILE = "special_file"  # a socket, pipe or device
    CASE_COLLISION = "case_collision"
    TOO_LARGE = "too_large"  # a file, a number of files, or a header beyond its bound
    PICKLE = "pickle"  # pickle, joblib, or code to be loaded with the model
    SIGNATURE = "signature"
    UNREADABLE = "unreadable"  # a file is not what its name says, or cannot be read
    SMOKE = "smoke"  # the smoke inference failed
    LIMIT = "limit"  # the smoke inference needs more memory, time or files than it may have
    # Of Triton's layout.
    CONFIG = "config"  # config.pbtxt contradicts itself or Triton's schema
    GRAPH = "graph"  # the ONNX graph and config.pbtxt contradict each other, or the runtime cannot run the graph
    VERSION = "version"
    LABELS = "labels"
    ENSEMBLE = "ensemble"  # a model that is called is missing, or its tensors are not those that it is called with
    PYTHON = "python"  # model.py is no model of Triton's, or needs what is not installed
    # Of Hugging Face's layout.
    MODEL_CONFIG = "model_config"
    ARCHITECTURE = "architecture"
    TOKENIZER = "tokenizer"
    CHAT_TEMPLATE = "chat_template"
    WEIGHTS = "weights"  # safetensors and config.json contradict each other
    QUANTIZATION = "quantization"
    MEMORY = "memory"


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One thing that is wrong: ``message`` is a sentence that says what, in which file, and what to do about it.

    ``file`` is a path below the model's folder, empty for the folder itself. ``version`` is the version of Triton's
    layout that the fault is in, empty where it is the whole model's: the other versions can be served without it.
    """

    code: FaultCode
    message: str
    file: str = ""
    version: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tensor:
    """An input or output; ``shape`` has -1 where a request decides, the batch included; ``datatype`` is V2's."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    optional: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """What a model needs while it is loaded, in bytes; ``total`` is the sum."""

    weights: int
    kv_cache: int = 0
    overhead: int = 0

    @property
    def total(self) -> int:
        return self.weights + self.kv_cache + self.overhead


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What a folder holds; fields that its format does not have are empty.

    ``steps`` are the models that this one calls. ``max_batch_size`` is 0 where requests are not batched. ``config`` is
    the ``config.pbtxt`` that is served if the folder's own was completed from the graph. ``notes`` are sentences about
    what is served but could be better.
    """

    format: Format
    kind: Kind
    bytes: int
    memory: Memory
    versions: tuple[str, ...] = ()
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    steps: tuple[str, ...] = ()
    max_batch_size: int = 0
    config: str = ""
    architecture: str = ""
    parameters: int = 0
    dtype: str = ""
    quantization: str = ""
    context_length: int | None = None
    accepts_images: bool = False
    tool_parser: str = ""  # vLLM's, of the calls that the model writes; empty if none is known
    license: str = ""
    description: str = ""  # the first paragraph of the model's card
    signed_by: str = ""  # the name of the key's file
    signing_key: str = ""  # the SHA-256 of that file
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What was found in the folder of ``name``; ``facts`` is None where nothing in it can be served.

    With facts and faults, what is faulty is left out of ``facts.versions`` and the rest is served. ``digest`` is the
    SHA-256 of the manifest: of all paths, sizes and contents. ``seconds`` has the time of each phase of judging.
    """

    group: Group
    name: str
    digest: str
    faults: tuple[Fault, ...] = ()
    facts: Facts | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def incomplete(self) -> bool:
        """Whether the folder may only lack what is still being copied."""
        return any(fault.code is FaultCode.INCOMPLETE for fault in self.faults)

    @property
    def sentence(self) -> str:
        """The first fault as one sentence, empty if there is none."""
        return self.faults[0].message if self.faults else ""
