"""Which content of a model's folder the next process loads."""

from dataclasses import replace
from pathlib import Path

import pytest

from switchyard.local.plan.plan import plan
from switchyard.local.plan.workloads import Options, Service
from switchyard.local.replicas.contents import Contents
from tests.switchyard.local.overlays import Stub, runtime
from tests.switchyard.local.supervisor.running import SETTINGS


@pytest.fixture
def service(tmp_path: Path) -> Service:
    published = tmp_path / "published"
    (published / "llm").mkdir(parents=True)
    options = Options(
        root=tmp_path,
        state=tmp_path,
        claims={"model-repository": tmp_path},
        published={"model-repository": published},
    )
    (planned,) = plan(
        [SETTINGS, runtime(), Stub(name="chat", storage="pvc://model-repository/llm/stub").document()], options
    ).services
    assert planned.model_dir == published / "llm/stub"
    return planned


def switch(service: Service, content: str) -> Path:
    """Lets the link of the model lead to a new content; returns its folder."""
    assert service.model_dir is not None
    folder = service.model_dir.parents[1] / content
    folder.mkdir(exist_ok=True)
    service.model_dir.unlink(missing_ok=True)
    service.model_dir.symlink_to(folder)
    return folder


def test_a_process_keeps_its_content_when_the_link_is_switched(service: Service) -> None:
    first = switch(service, "first")
    content = Contents(service).next
    switch(service, "second")

    command = content.commands[0]
    assert f"--model_dir={first}" in command.argv
    assert command.env["MODEL_FILE"] == f"{first}/weights"


def test_another_content_or_command_is_another_revision(service: Service) -> None:
    switch(service, "first")
    contents = Contents(service)
    first = contents.next.revision
    assert contents.next.revision == first
    switch(service, "second")
    second = contents.next.revision
    contents.renew(replace(service, command=replace(service.command, argv=(*service.command.argv, "--seed=1"))))
    assert len({first, second, contents.next.revision}) == 3
    contents.renew(service)
    switch(service, "first")
    assert contents.next.revision == first


def test_a_folder_that_is_no_link_is_its_only_content(service: Service) -> None:
    assert service.model_dir is not None
    service.model_dir.mkdir()
    contents = Contents(service)
    contents.loaded(contents.next)

    assert contents.next.commands == (service.command,)
    assert not contents.failed(contents.next, "it is broken")
    assert contents.notice == ""


def test_content_that_cannot_be_loaded_leaves_the_last_that_could_in_its_place(service: Service) -> None:
    switch(service, "first")
    contents = Contents(service)
    first = contents.next
    contents.loaded(first)
    switch(service, "second")
    contents.renew(replace(service, namespace="of the second"))
    second = contents.next
    assert (second.service.namespace, second.folder != first.folder) == ("of the second", True)

    assert contents.failed(second, "it has no weights")

    assert contents.next == first  # and by the flags that were planned for it
    assert contents.notice == "the newest content of its folder is not served: it has no weights"


def test_a_third_content_is_tried_whatever_the_second_did(service: Service) -> None:
    switch(service, "first")
    contents = Contents(service)
    contents.loaded(contents.next)
    switch(service, "second")
    contents.failed(contents.next, "it has no weights")
    third = switch(service, "third")

    assert contents.next.folder == third
    assert contents.notice == ""


def test_what_failed_is_tried_again_when_somebody_asks_for_that(service: Service) -> None:
    switch(service, "first")
    contents = Contents(service)
    contents.loaded(contents.next)
    second = switch(service, "second")
    contents.failed(contents.next, "no memory")
    contents.retry()

    assert contents.next.folder == second


def test_a_first_content_that_cannot_be_loaded_has_none_before_it(service: Service) -> None:
    switch(service, "first")
    contents = Contents(service)

    assert not contents.failed(contents.next, "it has no weights")
    assert contents.next.folder is not None


def test_content_that_is_gone_takes_nobodys_place(service: Service) -> None:
    first = switch(service, "first")
    contents = Contents(service)
    contents.loaded(contents.next)
    second = switch(service, "second")
    contents.failed(contents.next, "it has no weights")
    first.rmdir()

    assert contents.next.folder == second
