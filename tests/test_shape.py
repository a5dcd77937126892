"""The sizes that CONTRIBUTING.md names: files, functions and folders stay small enough to be read in one sitting.

An exception is a line in a table below, with its reason. A number there may go down, never up.
"""

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CODE = ("switchyard", "predictors", "dashboards", "tools")
FILE_LINES, TEST_FILE_LINES, FUNCTION_LINES, MODULES = 300, 500, 50, 12

LONGER_FILES = {
    "switchyard/http/client/connection.py": (310, "one protocol, whose callbacks share one state"),
    "switchyard/http/h2/grpc_call/call.py": (316, "one call, whose every callback shares its state"),
}
LONGER_FUNCTIONS: dict[str, tuple[int, str]] = {}
LARGER_FOLDERS: dict[str, tuple[int, str]] = {}


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted(path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts)


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield f"{path.relative_to(ROOT)} {node.name}", node.end_lineno - node.lineno + 1


def beyond(found: Iterable[tuple[str, int]], limit: int, allowed: dict[str, tuple[int, str]]) -> list[str]:
    return [f"{name}: {size}" for name, size in found if size > allowed.get(name, (limit, ""))[0]]


def test_files_are_short() -> None:
    found = [(str(path.relative_to(ROOT)), lines_of(path)) for path in sources(*CODE, "benchmarks")]
    assert beyond(found, FILE_LINES, LONGER_FILES) == []
    tests = [(str(path.relative_to(ROOT)), lines_of(path)) for path in sources("tests")]
    assert beyond(tests, TEST_FILE_LINES, {}) == []


def test_functions_are_short() -> None:
    # Pairs, not a dict: each class of a file may have an ``__init__``.
    found = [entry for path in sources(*CODE, "benchmarks", "tests") for entry in functions(path)]
    assert beyond(found, FUNCTION_LINES, LONGER_FUNCTIONS) == []


def test_folders_hold_few_modules() -> None:
    found = Counter(str(path.parent.relative_to(ROOT)) for path in sources(*CODE) if path.name != "__init__.py")
    assert beyond(found.items(), MODULES, LARGER_FOLDERS) == []


@pytest.mark.parametrize(
    ("allowed", "limit"),
    [(LONGER_FILES, FILE_LINES), (LONGER_FUNCTIONS, FUNCTION_LINES), (LARGER_FOLDERS, MODULES)],
    ids=["files", "functions", "folders"],
)
def test_an_exception_is_needed_and_has_a_reason(allowed: dict[str, tuple[int, str]], limit: int) -> None:
    sizes = {str(path.relative_to(ROOT)): lines_of(path) for path in sources(*CODE)}
    sizes |= dict(entry for path in sources(*CODE) for entry in functions(path))
    sizes |= Counter(str(path.parent.relative_to(ROOT)) for path in sources(*CODE) if path.name != "__init__.py")
    for name, (_, reason) in allowed.items():
        assert reason
        assert sizes.get(name, 0) > limit, f"{name} fits the limit: remove its exception"


def test_nothing_is_hidden_from_the_formatter() -> None:
    marks = ("# fmt:" + " skip", "# fmt:" + " off")
    texts = {path: path.read_text(encoding="utf-8") for path in sources(*CODE, "benchmarks", "tests")}
    assert [str(path.relative_to(ROOT)) for path, text in texts.items() if any(mark in text for mark in marks)] == []
