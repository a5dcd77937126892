"""A model in Python, as far as it can be judged without running it: by its syntax tree."""

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from switchyard.files import read_file
from switchyard.repository.names import quoted
from switchyard.repository.triton.faults import FaultError, names_of
from switchyard.repository.verdict import Fault, FaultCode

CLASS = "TritonPythonModel"
DEFAULT_FILE = "model.py"
MOST_BYTES = 1024 * 1024
# What a model's process has, here and in the images (model-repository/README.md).
_INSTALLED = sys.stdlib_module_names | {"numpy", "PIL", "triton_python_backend_utils", "c_python_backend_utils"}
_UNPICKLING = frozenset(("pickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"))


def python_faults(folder: Path, file: str, version: str, sizes: Mapping[str, int]) -> Iterator[Fault]:
    """Say what is wrong with the model in ``file``, and with the modules beside it."""
    if file not in sizes:
        name = file.rpartition("/")[2]
        message = f"{quoted(file)} is missing: copy it there, or name the model's file by default_model_filename."
        if name != DEFAULT_FILE:
            message = f"{quoted(file)}, the default_model_filename of config.pbtxt, is missing: copy it there."
        yield Fault(code=FaultCode.INCOMPLETE, file=file, version=version, message=message)
        return
    modules = [path for path in sizes if path.startswith(f"{version}/") and path.endswith(".py")]
    own = {path.split("/")[1].removesuffix(".py") for path in sizes if path.startswith(f"{version}/")}
    for path in dict.fromkeys((file, *modules)):
        try:
            tree = _parse(folder, path, version)
        except FaultError as err:
            yield err.fault
            continue
        for code, message in _messages(tree, path, own, is_model=path == file):
            yield Fault(code=code, file=path, version=version, message=message)


def _parse(folder: Path, file: str, version: str) -> ast.Module:
    try:
        return ast.parse(read_file(folder / file, MOST_BYTES), filename=file)
    except OSError as err:
        message = f"{quoted(file)} cannot be read ({err.strerror}): a module has at most {MOST_BYTES} bytes."
        code = FaultCode.UNREADABLE
    except SyntaxError as err:
        where = f", line {err.lineno}" if err.lineno else ""
        message = f"{quoted(file)}{where} does not compile ({quoted(err.msg)[1:-1]}): correct it, for Python {_PYTHON}."
        code = FaultCode.PYTHON
    except (ValueError, RecursionError, MemoryError):
        message = f"{quoted(file)} is no code of Python: correct it."
        code = FaultCode.PYTHON
    raise FaultError(Fault(code=code, file=file, version=version, message=message))


_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def _messages(tree: ast.Module, file: str, own: set[str], *, is_model: bool) -> Iterator[tuple[FaultCode, str]]:
    if is_model and (message := _class_fault(tree, file)):
        yield FaultCode.PYTHON, message
    imported = set(_imports(tree.body))
    if pickling := sorted(set(_imports(ast.walk(tree))) & _UNPICKLING - own):
        yield (
            FaultCode.PICKLE,
            f"{quoted(file)} imports {names_of(pickling)}, whose files run code when they are read: keep weights in "
            "ONNX, or in numpy's format with allow_pickle=False.",
        )
    # Those of the module itself: what a function or a `try` imports may be meant to fail.
    if unknown := sorted(imported - _INSTALLED - _UNPICKLING - own):
        yield (
            FaultCode.PYTHON,
            f"{quoted(file)} imports {names_of(unknown)}, which is not installed beside Triton: use numpy and Pillow, "
            "or call a model of the repository.",
        )


def _class_fault(tree: ast.Module, file: str) -> str:
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == CLASS:
            methods = {each.name for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}
            if node.bases or "execute" in methods:
                return ""
            return f"The class {CLASS} of {quoted(file)} has no method execute: add `def execute(self, requests)`."
        named = node.names if isinstance(node, ast.Import | ast.ImportFrom) else []
        targets = node.targets if isinstance(node, ast.Assign) else []
        if any((each.asname or each.name) == CLASS for each in named):
            return ""
        if any(isinstance(target, ast.Name) and target.id == CLASS for target in targets):
            return ""
    return f"{quoted(file)} has no class {CLASS}, which is what Triton calls: add it."


def _imports(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (each.name.partition(".")[0] for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module.partition(".")[0]
