"""``switchyard model``: what the commands do to the repository and print, with and without a platform that runs."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from switchyard.cli.models import waiting
from switchyard.repository.names import taken
from switchyard.repository.status import ModelStatus
from switchyard.repository.verdict import FaultCode
from tests.switchyard.cli.models.conftest import FACTS, GATEWAY, Judge, Platform, Project, served
from tests.switchyard.repository import onnx_models

ROOT = Path(__file__).parents[4]
GRAPH = "1/model.onnx"
SENTENCE = "1/model.onnx is not an ONNX file: export the model again."


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    return onnx_models.relu(tmp_path / "digits")


def content(project: Project) -> bytes:
    return project.folder(f"vision/digits/{GRAPH}").read_bytes()


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_good_folder_is_checked_without_a_platform(project: Project, digits: Path) -> None:
    said = project.run("check", str(digits))
    assert said.code == 0, said.out
    for words in ("digits: it would be served", "x FP32 [-1, 4]", "license", "memory", "versions"):
        assert words in said.out
    row = project.run("check", str(digits), "--json").json
    assert (row["group"], row["name"], row["faults"], row["facts"]["versions"]) == ("vision", "digits", [], ["1"])
    assert files(project.root / "model-repository") == []


def test_a_single_graph_is_a_model_whose_configuration_is_shown(project: Project, digits: Path) -> None:
    graph = digits.with_name("single.onnx")
    (digits / GRAPH).rename(graph)
    said = project.run("check", str(graph))
    assert said.code == 0, said.out
    for words in ("single: it would be served", "x FP32 [-1, 4]", "y FP32 [-1, 4]", "completed from the graph", "dims"):
        assert words in said.out
    assert project.run("add", str(graph)).code == 0
    assert files(project.folder("vision")) == ["single/1/model.onnx"]


def test_what_a_model_calls_is_found_in_a_repository_that_nothing_has_judged_yet(
    project: Project, digits: Path
) -> None:
    caller = digits.with_name("caller")
    (caller / "1").mkdir(parents=True)
    (caller / "1/model.py").write_text(
        "import triton_python_backend_utils as pb_utils\n\n\nclass TritonPythonModel:\n"
        "    def execute(self, requests):\n"
        "        tensor = pb_utils.Tensor('y', requests[0].inputs()[0].as_numpy())\n"
        "        return [pb_utils.InferenceResponse([tensor])]\n"
    )
    (caller / "config.pbtxt").write_text(
        'backend: "python"\ninput { name: "x" data_type: TYPE_FP32 dims: [4] }\n'
        'output { name: "y" data_type: TYPE_FP32 dims: [4] }\n'
        'parameters { key: "steps" value { string_value: "digits" } }\n'
    )
    lonely = project.run("check", str(caller))
    assert (lonely.code, "'digits', which is not in the repository" in lonely.out) == (1, True), lonely.out
    assert project.run("add", str(digits)).code == 0
    said = project.run("check", str(caller))
    assert (said.code, "caller: it would be served" in said.out) == (0, True), said.out


def test_a_broken_one_is_explained_and_not_added(project: Project, tmp_path: Path) -> None:
    broken = onnx_models.relu(tmp_path / "broken") / "1" / "model.onnx"
    broken.write_bytes(b"no graph at all")
    for command in ("check", "add"):
        said = project.run(command, str(broken.parents[1]))
        assert said.code == 1
        assert "broken: " in said.out
        assert "1/model.onnx" in said.out
    assert files(project.root / "model-repository") == []
    fault = project.run("check", str(broken.parents[1]), "--json").json["faults"][0]
    assert fault["message"] in said.out


def test_a_model_is_added_whole_and_waits_for_a_platform(project: Project, digits: Path) -> None:
    said = project.run("add", str(digits))
    assert said.code == 0, said.err
    assert "digits: added to vision" in said.out
    assert "`switchyard up` serves it" in said.out
    assert files(project.folder("vision")) == [
        "digits/1/model.onnx",
        "digits/config.pbtxt",
    ]
    assert content(project) == (digits / GRAPH).read_bytes()
    listed = project.run("list")
    assert "digits" in listed.out
    for said in (listed, project.run("show", "digits")):
        assert "not served" in said.out
        assert "nothing runs here; `switchyard up` serves it" in said.out


def test_a_graph_that_lies_beside_models_is_listed_and_told_its_place(project: Project, digits: Path) -> None:
    stray = project.folder("vision/digits.onnx")
    (digits / GRAPH).rename(stray)
    told = "vision/digits.onnx is no model: put it at model-repository/vision/digits/1/model.onnx."
    for said in (project.run("list"), project.run("show", "digits.onnx"), project.run("check", str(stray))):
        assert f"model-repository/{told}" in said.out
    [row] = project.run("list", "--json").json
    assert (row["name"], row["phase"], row["code"]) == ("digits.onnx", "failed", "misplaced")
    stray.rename(project.root / "digits.onnx")
    assert project.run("list", "--json").json == []
    assert told not in project.run("check", str(project.root / "digits.onnx")).out


def test_a_folder_of_the_claim_is_added_by_its_address(project: Project, digits: Path) -> None:
    digits.rename(project.root / "model-repository" / "shelf")
    assert project.run("add", "pvc://model-repository/shelf").code == 0
    assert (project.folder("vision/shelf") / GRAPH).is_file()


def test_a_language_model_is_added_with_a_service_of_its_own(project: Project) -> None:
    said = project.run("add", str(ROOT / "model-repository/llm/chat-fast"), "--name", "mine", "--write")
    assert said.code == 0, said.out + said.err
    assert "mine: its InferenceService is in manifests/services/mine" in said.out
    assert "model.safetensors" in files(project.folder("llm/mine"))
    assert "resources:\n  - embed\n  - mine\n" in (project.root / "manifests/services/kustomization.yaml").read_text()
    service = (project.root / "manifests/services/mine/inferenceservice.yaml").read_text()
    assert "pvc://model-repository/llm/mine" in service
    again = project.run("add", str(ROOT / "model-repository/llm/chat-fast"), "--name", "mine", "--write", "--replace")
    assert (again.code, "yours to change" in again.err) == (1, True)
    gone = project.run("remove", "mine", "--yes")
    assert (gone.code, gone.out) == (0, "mine: removed\nmine: manifests/services/mine was removed, too\n"), gone.err
    assert not (project.root / "manifests/services/mine").exists()
    assert (project.root / "manifests/services/kustomization.yaml").read_text() == "# A list.\nresources:\n  - embed\n"


def test_outside_of_a_project_models_can_be_checked_only(
    project: Project, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert project.run("check", str(digits)).code == 0
    for arguments in (("add", str(digits)), ("list",), ("show", "digits"), ("remove", "digits")):
        said = project.run(*arguments)
        assert (said.code, "there is no model-repository here or above" in said.err) == (1, True), arguments
    assert not (tmp_path / "model-repository").exists()


def test_a_name_that_is_in_use_is_said_and_replaced_only_if_asked(
    project: Project, digits: Path, tmp_path: Path
) -> None:
    assert project.run("add", str(digits)).code == 0
    other = onnx_models.relu(tmp_path / "other", width=8)
    for name, words in (
        ("digits", "vision/digits is there already: --replace"),
        ("embed", "The name 'embed' is taken by InferenceService embed"),
        ("Odd Name", "beginning with a letter: call it, by --name, 'odd-name', for example."),
    ):
        said = project.run("add", str(other), "--name", name)
        assert (said.code, words in said.err) == (1, True), said.err
    assert content(project) == (digits / GRAPH).read_bytes()
    assert project.run("add", str(other), "--name", "digits", "--replace").code == 0
    assert content(project) == (other / GRAPH).read_bytes()
    assert [entry.name for entry in project.folder("vision").iterdir()] == ["digits"]


def test_a_name_of_the_platform_is_its_own_though_a_folder_has_it_too(project: Project, digits: Path) -> None:
    project.state.make()
    reserved = {"auto": "InferenceGraph auto", "vision/chat": "InferenceService chat"}
    (project.state.path / "reserved-names.json").write_text(json.dumps(reserved))
    for name in ("auto", "chat"):
        project.folder(f"llm/{name}").mkdir(parents=True)
        said = project.run("add", str(digits), "--name", name)
        owner = reserved.get(name) or reserved[f"vision/{name}"]
        assert (said.code, taken(name, owner) in said.err) == (1, True), said.err


def test_what_runs_says_that_it_serves_it_and_how_it_is_called(
    project: Project, platform: Platform, digits: Path
) -> None:
    said = project.run("add", str(digits))
    assert said.code == 0, said.err
    assert "digits: published" in said.out
    assert f"curl -s {GATEWAY}/v2/models/digits/infer" in said.out
    row = project.run("add", str(digits), "--replace", "--json").json
    assert (row["verdict"]["name"], row["status"]["phase"]) == ("digits", "published")
    assert row["call"].startswith("curl ")


def failed(folder: Path) -> ModelStatus:
    return replace(served(folder), phase="failed", reason=SENTENCE, code=FaultCode.UNREADABLE, facts=None)


@pytest.mark.parametrize("judge", [failed])
def test_what_runs_has_the_last_word(project: Project, judge: Judge, platform: Platform, digits: Path) -> None:
    said = project.run("add", str(digits))
    assert (said.code, f"digits: failed: {SENTENCE}" in said.out) == (1, True), said.out
    assert "curl" not in said.out


def test_what_is_published_and_yet_not_served_is_no_success(
    project: Project, platform: Platform, digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_LISTED_SECONDS", 0.2)
    project.unserved = "it needs 9 GB of memory, and 4 GB are left"
    said = project.run("add", str(digits))
    assert (said.code, f"digits: not served: {project.unserved}" in said.out) == (1, True), said.out
    assert "curl" not in said.out


def test_a_model_is_shown_with_all_that_is_known_of_it(project: Project) -> None:
    project.folder("vision/digits").mkdir()
    facts = replace(FACTS, description="Reads digits.", signed_by="lab@example.org", steps=("image-decode",))
    status = ModelStatus(
        group="vision",
        name="digits",
        phase="failed",
        reason=SENTENCE,
        file="1/model.onnx",
        facts=facts,
        source="hf://lab/digits",
        revision="abc",
        seconds={"inspect": 0.1, "smoke": 0.25},
    )
    project.say(status, replace(status, name="image-decode", source="", facts=FACTS))
    shown = project.run("show", "digits").out
    for words in (
        "digits: failed, former content served",
        SENTENCE,
        "hf://lab/digits",
        "abc",
        "mit",
        "Reads digits.",
        "lab@example.org",
        "1.2 kB",
        "1.0 kB (weights 1.0 kB, overhead 24 B)",
        "inspect 0.10, smoke 0.25",
        "image-decode",
    ):
        assert words in shown
    row = project.run("list").out.splitlines()[1]
    assert row.split(None, 2)[:2] == ["digits", "vision"]
    assert SENTENCE in row
    assert project.run("list", "--json").json == [project.run("show", "digits", "--json").json]
    unknown = project.run("show", "nope")
    assert (unknown.code, "`switchyard model list` shows those that are" in unknown.err) == (1, True)
    assert "there is no model 'nope'" in project.run("show", "nope", "--json").json["error"]


def test_a_name_that_is_almost_one_leads_to_it(project: Project, digits: Path) -> None:
    assert project.run("add", str(digits)).code == 0
    for command in ("show", "remove"):
        assert "did you mean digits?" in project.run(command, "digit").err


def test_a_file_whose_name_cannot_be_one_is_named_by_an_option(project: Project, digits: Path) -> None:
    file = (digits / GRAPH).rename(digits / "Wine_RF.onnx")
    for command in ("check", "add"):
        said = project.run(command, str(file))
        assert (said.code, "call it, by --name, 'wine-rf', for example" in said.err) == (1, True), said.err


def test_what_comes_from_a_folder_cannot_command_the_terminal(project: Project) -> None:
    project.folder("vision/digits").mkdir()
    evil = "\x1b]0;owned\x07\u202e\nfaked: published"
    facts = replace(FACTS, description=evil, license=evil, notes=(evil,), inputs=(replace(FACTS.inputs[0], name=evil),))
    project.say(ModelStatus(group="vision", name="digits", phase="failed", reason=evil, file=evil, facts=facts))
    for arguments in (("list",), ("show", "digits"), ("show", evil)):
        said = project.run(*arguments)
        assert r"\x1b]0;owned\x07\u202e" in said.out + said.err
        assert not [line for line in (said.out + said.err).splitlines() if line.startswith("faked")]
        assert all(character.isprintable() or character == "\n" for character in said.out + said.err)


def test_without_a_platform_nothing_is_loaded(project: Project) -> None:
    said = project.run("load", "digits", SWITCHYARD_PORT="1")
    assert (said.code, "nothing runs here; `switchyard up` serves" in said.err) == (1, True), said.err


def test_a_model_is_removed_once_that_is_confirmed(project: Project, platform: Platform, digits: Path) -> None:
    assert project.run("add", str(digits)).code == 0
    project.say(replace(served(Path("caller")), facts=replace(FACTS, steps=("digits",))))
    asked = project.run("remove", "digits", typed="n\n")
    assert asked.code == 1
    assert "caller would fail without it" in asked.err
    assert project.folder("vision/digits").is_dir()
    assert project.run("remove", "digits").err.endswith("\nnothing was removed; --yes does not ask\n")
    said = project.run("remove", "digits", "--yes")
    assert (said.code, said.out) == (0, "digits: removed; what calls it fails until it is back: caller\n")
    assert list(project.folder("vision").iterdir()) == []
    assert [row["name"] for row in project.run("list", "--json").json] == ["caller"]


def test_what_calls_a_model_that_is_gone_has_failed(project: Project) -> None:
    project.folder("vision/caller").mkdir()
    caller = replace(served(Path("caller")), facts=replace(FACTS, steps=("digits",)))
    project.say(caller, served(Path("digits")))
    assert "caller: published" in project.run("show", "caller").out
    project.forget("digits")
    shown = project.run("show", "caller").out
    assert "caller: failed\n" in shown
    assert "the model digits that it calls is away" in shown
    assert "the model digits that it calls is away" in project.run("list").out


def test_of_two_models_with_one_name_the_group_says_which(project: Project) -> None:
    for path in ("vision/twice", "llm/twice"):
        project.folder(path).mkdir()
    for command in (("show", "twice"), ("remove", "twice", "--yes")):
        said = project.run(*command)
        assert (said.code, said.err) == (1, "error: which twice? Say llm/twice or vision/twice\n"), said.out
    assert project.run("show", "llm/twice", "--json").json["group"] == "llm"
    assert project.run("remove", "llm/twice", "--yes").out == "twice: removed\n"
    assert (project.folder("llm/twice").exists(), project.folder("vision/twice").exists()) == (False, True)
    assert project.run("show", "twice", "--json").json["group"] == "vision"


@pytest.mark.parametrize("name", ["nope", "../vision", "", ".", ".hidden", "a\0b"])
def test_nothing_else_is_removed(project: Project, name: str) -> None:
    project.folder("vision/.hidden").mkdir()
    said = project.run("remove", name, "--yes")
    assert (said.code, "there is no model" in said.err) == (1, True)
    assert project.folder("vision/.hidden").is_dir()


def test_versions_that_are_there_and_not_served_are_told_apart(project: Project) -> None:
    for version in ("1", "2", "10", "notes"):
        project.folder(f"vision/digits/{version}").mkdir(parents=True)
    project.say(replace(served(Path("digits")), facts=replace(FACTS, versions=("2",))))
    assert "  versions    2 of 1, 2, 10\n" in project.run("show", "digits").out
    assert " 2 of 1, 2, 10 " in project.run("list").out
    project.say(replace(served(Path("digits")), facts=replace(FACTS, versions=("1", "2", "10"))))
    assert "  versions    1, 2, 10\n" in project.run("show", "digits").out


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"[]", b'{"models": [5]}', b'{"models": 5}', b"[" * 100_000],
    ids=["empty", "no text", "a list", "no models", "a number", "deep"],
)
def test_a_status_that_another_program_wrote_is_said_with_what_to_do(project: Project, content: bytes) -> None:
    project.say(served(project.folder("vision/digits")))
    (project.state.path / "repository/status.json").write_bytes(content)
    said = project.run("list")
    assert said.code == 1
    assert "Remove that file" in said.err
    assert "Traceback" not in said.err
