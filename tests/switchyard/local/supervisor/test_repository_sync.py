"""The process of a run that judges the model repository."""

import json
from dataclasses import replace
from pathlib import Path

from switchyard.local.plan.plan import plan
from switchyard.local.status.run_directory import StateDirectory
from switchyard.local.supervisor import project
from switchyard.local.supervisor.repository_sync import sync_deployments
from tests.switchyard.local.overlays import Stub, runtime
from tests.switchyard.local.supervisor.running import SETTINGS


def test_models_are_judged_where_the_project_has_folders_for_them(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path / "state")
    (tmp_path / "model-repository" / "stubs").mkdir(parents=True)
    assert project.options_of(tmp_path, directory, port=None).published == {}
    (tmp_path / "model-repository" / "vision").mkdir()
    options = project.options_of(tmp_path, directory, port=None)
    assert options.published == {"model-repository": tmp_path / "state" / "repository"}


def test_the_process_gets_its_folders_and_the_names_that_no_model_may_have(tmp_path: Path) -> None:
    (tmp_path / "model-repository" / "llm").mkdir(parents=True)
    directory = StateDirectory(tmp_path / "state")
    directory.make()
    options = project.options_of(tmp_path, directory, port=None)
    stubs = [
        Stub(name="chat", storage="pvc://model-repository/llm/chat"),
        Stub(name="second-name", storage="pvc://model-repository/llm/chat"),
    ]
    planned = plan([SETTINGS, runtime(), *(stub.document() for stub in stubs)], options)
    (found,) = sync_deployments(planned, options)
    argv = dict(part.partition("=")[::2] for part in found.command.argv[3:])
    assert found.command.argv[1:3] == ("-m", "switchyard.sync")
    assert argv["--source"] == str(tmp_path / "model-repository")
    assert argv["--published"] == str(tmp_path / "state" / "repository")
    assert (tmp_path / "state" / "repository" / "vision").is_dir()  # or its service would be listed as failed
    assert argv["--http_port"] == str(found.command.http_port)
    # A service that serves the folder of its own name is that model, and nobody else.
    assert json.loads(Path(argv["--reserved"]).read_text()) == {
        "second-name": "InferenceService second-name",
        "vision/chat": "InferenceService chat",
    }
    assert (tmp_path / "state/repository/vision").is_dir(), "vision starts with no model, and is not failed for it"
    assert list(sync_deployments(planned, replace(options, published={}))) == []
