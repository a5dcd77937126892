"""What the preloaded parent is to fork, before there are models and where there can be none."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from switchyard.local.plan.plan import plan
from switchyard.local.plan.workloads import Options
from switchyard.local.supervisor.forked import forked
from switchyard.local.supervisor.published_models import ServicePlanner
from tests.switchyard.local.overlays import Stub, runtime
from tests.switchyard.local.supervisor.published import vllm
from tests.switchyard.local.supervisor.running import SETTINGS

MODULE = "predictors.llm"


def language_models() -> dict[str, Any]:
    """The runtime of derived services, with a module as its command."""
    document = vllm()
    (container,) = document["spec"]["containers"]
    container["command"] = ["python", "-m", MODULE]
    container["env"] = [*container["env"], {"name": "SHARED", "value": "yes"}]
    return document


@pytest.fixture
def options(tmp_path: Path) -> Options:
    (tmp_path / "stubs/stub").mkdir(parents=True)
    published = {"model-repository": tmp_path / "published"}
    return Options(root=tmp_path, state=tmp_path, claims={"model-repository": tmp_path}, published=published)


def found(options: Options, *documents: Any) -> dict[str, Any]:
    services = plan([SETTINGS, *documents], options).services
    return dict(forked(services, ServicePlanner(documents, options), options))


def test_language_models_are_foreseen_where_they_may_be_published(options: Options) -> None:
    modules = found(options, runtime(), language_models(), Stub(name="chat").document())
    assert list(modules) == [MODULE]
    one, another = modules[MODULE]
    assert set(one.items()) & set(another.items()) == {("SHARED", "yes")}, "what is of one model is not of all"


def test_without_a_runtime_for_them_or_a_repository_nothing_is_imported_for_them(options: Options) -> None:
    assert found(options, runtime(), Stub(name="chat").document()) == {}
    assert found(replace(options, published={}), runtime(), language_models(), Stub(name="chat").document()) == {}


def test_those_that_the_overlay_declares_say_which_variables_all_have(options: Options) -> None:
    declared = Stub(name="chat", runtime="switchyard-vllm", format="vllm", env={"ONLY": "here"}).document()
    ((environment,),) = found(options, runtime(), language_models(), declared).values()
    assert environment["ONLY"] == "here"
