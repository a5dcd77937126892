"""What packages declare about preloading, in the predictors of this repository and in any other text."""

import ast
import importlib.util
from pathlib import Path

import pytest

from switchyard.local.errors import LocalError
from switchyard.local.processes.preload_declaration import Preload, declared

ROOT = Path(__file__).parents[4]
PREDICTORS = sorted(path.parent.name for path in (ROOT / "predictors").glob("*/__main__.py"))


def package(root: Path, text: str) -> Path:
    folder = root / "predictors" / "new"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(text)
    return root


def test_the_predictors_with_heavy_imports_declare_them() -> None:
    found = declared([f"predictors.{name}" for name in PREDICTORS], ROOT)
    assert found == {
        "predictors.llm": Preload(("predictors.llm.engine",), wait=True),
        "predictors.vision": Preload(("predictors.vision.assembly",), wait=False),
    }


@pytest.mark.parametrize("name", PREDICTORS)
def test_a_predictors_package_imports_nothing_and_its_declared_modules_exist(name: str) -> None:
    tree = ast.parse((ROOT / "predictors" / name / "__init__.py").read_text())
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    for preload in declared([f"predictors.{name}"], ROOT).values():
        assert all(importlib.util.find_spec(module) for module in preload.modules)


def test_a_package_without_a_declaration_is_not_preloaded(tmp_path: Path) -> None:
    assert declared(["predictors.new", "http.server"], package(tmp_path, "OTHER = 1")) == {}


def test_a_start_waits_only_where_that_is_declared(tmp_path: Path) -> None:
    root = package(tmp_path, 'PRELOAD = ("a", "b.c")')
    assert declared(["predictors.new"], root) == {"predictors.new": Preload(("a", "b.c"), wait=False)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('PRELOAD = "predictors.new.engine"', "PRELOAD is 'predictors.new.engine'; write a tuple of module names"),
        ("PRELOAD = (1,)", "write a tuple of module names"),
        ("PRELOAD = tuple(names)", "cannot be read"),
        ("PRELOAD = (", "cannot be read"),
        ('PRELOAD = ("a",)\nPRELOAD_WAIT = 1', "PRELOAD_WAIT is 1; write True or False"),
    ],
)
def test_a_wrong_declaration_is_an_error_that_names_the_file(tmp_path: Path, text: str, message: str) -> None:
    root = package(tmp_path, text)
    with pytest.raises(LocalError) as caught:
        declared(["predictors.new"], root)
    assert message in str(caught.value)
    assert str(root / "predictors" / "new" / "__init__.py") in str(caught.value)
