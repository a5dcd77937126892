"""Triton's protobuf schema of a model's configuration, as tritonclient has it.

The module is loaded from its file: its package imports gRPC, which takes longer than judging does, and a schema of
requests that kserve has too, so that one process cannot hold both.
"""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

from google.protobuf import text_format

CONFIG = "config.pbtxt"


def _load() -> ModuleType:
    package = importlib.util.find_spec("tritonclient.grpc")
    if package is None or not package.submodule_search_locations:
        raise ImportError("tritonclient[grpc] is not installed: run `make setup`")
    path = Path(package.submodule_search_locations[0], "model_config_pb2.py")
    spec = importlib.util.spec_from_file_location(f"{__name__}.model_config_pb2", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_schema: Any = _load()
ModelConfig: Any = _schema.ModelConfig
DataType: Any = _schema.DataType
InstanceKind: Any = _schema.ModelInstanceGroup.Kind
TensorFormat: Any = _schema.ModelInput.Format


def parse(text: str) -> Any:
    """Return the ``ModelConfig`` that ``text`` is.

    Raises:
        google.protobuf.text_format.ParseError: it is none; the error has line and column.
    """
    return text_format.Parse(text, ModelConfig())


def text_of(config: Any) -> str:
    """Return a ``ModelConfig`` as config.pbtxt has it."""
    return str(text_format.MessageToString(config, use_short_repeated_primitives=True))
