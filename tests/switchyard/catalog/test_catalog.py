from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.catalog import (
    Card,
    Catalog,
    CatalogError,
    CatalogFile,
    Model,
    State,
    describe,
    hosted,
    hosts_repository,
)

models = st.builds(
    Model,
    name=st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True),
    kind=st.sampled_from(["llm", "embedding", "vision", "graph", "adapter"]),
    url=st.just("http://127.0.0.1:1"),
    context_length=st.none() | st.integers(1, 10**6),
    accepts_images=st.booleans(),
    concurrency=st.none() | st.integers(1, 1000),
    notice=st.text(),
    card=st.none() | st.builds(Card, bytes=st.integers(0), license=st.text(), description=st.text()),
    state=st.builds(State, phase=st.sampled_from(["ready", "asleep", "waking", "failed", "pending"]), reason=st.text()),
)


def document(**metadata: object) -> dict[str, object]:
    return {"metadata": {"name": "m", "labels": {"switchyard.dev/kind": "llm"}, **metadata}}


@given(st.lists(models, unique_by=lambda model: model.name))
def test_a_catalog_survives_being_written(rows: list[Model]) -> None:
    catalog = Catalog({model.name: model for model in rows})
    assert Catalog.loads(catalog.dumps()) == catalog


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"models": [{"name": "m"}]}', '{"models": 3}'])
def test_what_is_no_catalog_is_rejected(text: str) -> None:
    with pytest.raises(CatalogError, match="not a catalog"):
        Catalog.loads(text)


def test_a_file_is_read_again_when_it_was_replaced(tmp_path: Path) -> None:
    writer, reader = CatalogFile(tmp_path / "c.json"), CatalogFile(tmp_path / "c.json")
    first = Catalog({"a": Model(name="a", kind="llm", url="http://a")})
    writer.replace(first)
    assert reader.current() == first
    writer.replace(Catalog({}))
    assert reader.current() == Catalog({})


def test_a_file_that_was_never_there_is_no_empty_catalog(tmp_path: Path) -> None:
    file = CatalogFile(tmp_path / "catalog.json")
    with pytest.raises(FileNotFoundError):
        file.current()
    file.replace(Catalog({}))
    assert file.current() == Catalog({})
    (tmp_path / "catalog.json").unlink()
    assert file.current() == Catalog({})


def test_an_inferenceservice_describes_its_model() -> None:
    annotations = {"switchyard.dev/context-length": "2048"}
    model = describe(document(annotations=annotations), url="http://m")
    assert (model.name, model.kind, model.context_length, model.state.phase) == ("m", "llm", 2048, "asleep")


@pytest.mark.parametrize(
    ("spec", "concurrency"),
    [
        ({"predictor": {"containerConcurrency": 16}}, 16),
        ({"predictor": {"containerConcurrency": 16}, "transformer": {"containerConcurrency": 64}}, 64),
        ({"predictor": {"containerConcurrency": 16}, "transformer": {}}, 16),
        ({"predictor": {"containerConcurrency": 0}}, None),
        ({"predictor": {}}, None),
        ({"nodes": {}}, None),
    ],
)
def test_the_concurrency_is_of_whatever_takes_the_requests(spec: dict[str, object], concurrency: int | None) -> None:
    assert describe({**document(), "spec": spec}, url="http://m").concurrency == concurrency


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"labels": {}}, "label switchyard.dev/kind is None; use one of llm, embedding"),
        ({"labels": {"switchyard.dev/kind": "toy"}}, "'toy'"),
        ({"annotations": {"switchyard.dev/context-length": "long"}}, "'long', not a number of tokens"),
    ],
)
def test_a_document_that_describes_no_model_is_rejected_by_field(metadata: dict[str, object], words: str) -> None:
    with pytest.raises(CatalogError, match=words):
        describe(document(**metadata), url="http://m")


def test_a_chat_model_sees_only_if_its_annotation_says_so() -> None:
    seeing = {"switchyard.dev/chat-inputs": "text,image"}
    assert describe(document(annotations=seeing), url="http://m").accepts_images
    assert not describe(document(), url="http://m").accepts_images


@pytest.mark.parametrize(("form", "expected"), [("triton", True), ("vllm", False)])
def test_a_service_of_tritons_format_hosts_a_repository(form: str, expected: bool) -> None:
    spec = {"predictor": {"model": {"modelFormat": {"name": form}}}}
    assert hosts_repository({**document(), "spec": spec}) is expected


def test_a_repository_is_what_triton_would_take_for_one(tmp_path: Path) -> None:
    for folder in ("b/1", "a", "notes", ".git/1"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "a" / "config.pbtxt").touch()
    (tmp_path / "README.md").touch()
    service = Model(name="vision", kind="vision", url="http://v", grpc="v:1")
    models = hosted(service, tmp_path)
    assert [(model.name, model.kind, model.url, model.grpc) for model in models] == [
        ("a", "vision", "http://v", "v:1"),
        ("b", "vision", "http://v", "v:1"),
    ]
    assert hosted(service, tmp_path / "absent") == []


@pytest.mark.parametrize("name", ["my model", "a+b", "50%", "a%20b", "naïve", "semi;colon", "q?x", "h#x"])
def test_a_folder_whose_name_cannot_be_part_of_a_path_is_listed_as_failed(name: str, tmp_path: Path) -> None:
    for folder in (name, "A.b_c-d~1"):
        (tmp_path / folder / "1").mkdir(parents=True)
    service = Model(name="vision", kind="vision", url="http://v")
    states = {model.name: model.state for model in hosted(service, tmp_path)}
    assert states.pop("A.b_c-d~1") == service.state
    assert (states[name].phase, "rename its folder" in states[name].reason) == ("failed", True)


def test_a_folder_that_vanishes_or_may_not_be_read_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("gone", "kept", "locked"):
        (tmp_path / name / "1").mkdir(parents=True)
    reasons = {"gone": FileNotFoundError, "locked": PermissionError}
    listed = Path.iterdir

    def iterdir(path: Path) -> Iterator[Path]:
        if path.name in reasons:
            raise reasons[path.name](path)
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    service = Model(name="vision", kind="vision", url="http://v")
    assert [model.name for model in hosted(service, tmp_path)] == ["kept"]
    reasons[tmp_path.name] = PermissionError
    assert hosted(service, tmp_path) == []


def test_a_file_with_the_old_name_of_a_field_is_read() -> None:
    row = '{"name": "m", "kind": "llm", "url": "http://x", "sees": true, "state": {"phase": "ready"}}'
    model = Catalog.loads(f'{{"models": [{row}]}}').get("m")
    assert model is not None
    assert model.accepts_images
