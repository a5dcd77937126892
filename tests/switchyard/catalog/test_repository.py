"""What the status of a folder makes of the model in the catalog."""

from dataclasses import replace

import pytest

from switchyard.catalog import Card, Model, State, with_repository
from switchyard.repository.status import ModelStatus, Phase
from switchyard.repository.verdict import Facts, FaultCode, Memory

SENTENCE = "1/model.onnx is not an ONNX file: export the model again."
AWAKE = Model(name="digits", kind="vision", url="http://127.0.0.1:1", replicas=1, state=State(phase="ready"))
FACTS = Facts(
    format="onnx",
    kind="vision",
    bytes=1000,
    memory=Memory(weights=1000),
    versions=("1", "2"),
    license="bsd-3-clause",
    description="Reads digits.",
)
SERVED = ModelStatus(group="vision", name="digits", phase="published", facts=FACTS, revision="abc", source="hf://a/b")


def test_what_is_published_has_its_versions_and_its_card() -> None:
    model = with_repository(AWAKE, SERVED)
    assert model == replace(
        AWAKE,
        versions=("1", "2"),
        card=Card(
            format="onnx",
            bytes=1000,
            license="bsd-3-clause",
            description="Reads digits.",
            source="hf://a/b",
            revision="abc",
        ),
    )


def test_another_content_is_another_revision() -> None:
    first, second = (
        with_repository(replace(AWAKE, revision="r1"), replace(SERVED, digest=digest)).revision
        for digest in ("a" * 64, "b" * 64)
    )
    assert first != second
    assert first.startswith("r1-")


def test_a_folder_of_which_nothing_can_be_served_has_failed_whatever_its_server_does() -> None:
    status = ModelStatus(group="vision", name="digits", phase="failed", reason=SENTENCE, code=FaultCode.UNREADABLE)
    assert with_repository(AWAKE, status).state == State(phase="failed", reason=SENTENCE)


@pytest.mark.parametrize(
    ("phase", "progress", "words"),
    [
        ("copying", (0, 0), "its folder is still being copied"),
        ("checking", (0, 0), "its folder is being checked"),
        ("downloading", (12_300_000, 40_000_000), "it is being downloaded, 12.3 of 40.0 MB are there"),
    ],
)
def test_a_new_folder_is_pending_until_it_is_judged(phase: Phase, progress: tuple[int, int], words: str) -> None:
    status = ModelStatus(group="vision", name="digits", phase=phase, progress=progress)
    assert with_repository(AWAKE, status).state == State(phase="pending", reason=words)


def test_a_broken_edit_leaves_the_former_content_served_and_says_why() -> None:
    model = with_repository(AWAKE, replace(SERVED, phase="failed", reason=SENTENCE))
    assert (model.state, model.versions) == (AWAKE.state, ("1", "2"))
    assert model.notice == f"the newest content of its folder is not served: {SENTENCE}"


def test_a_version_that_is_left_out_is_said_while_the_others_are_served() -> None:
    assert with_repository(AWAKE, replace(SERVED, reason=SENTENCE)).notice == SENTENCE


def test_an_edit_that_is_being_checked_disturbs_nobody() -> None:
    assert with_repository(AWAKE, replace(SERVED, phase="checking")) == with_repository(AWAKE, SERVED)


def test_a_folder_with_another_models_name_is_listed_with_its_group_and_one_with_a_wrong_name_as_it_is() -> None:
    taken = ModelStatus(group="vision", name="digits", phase="failed", reason=SENTENCE, code=FaultCode.NAME)
    model = with_repository(AWAKE, taken)
    assert (model.name, model.state) == ("vision/digits", State(phase="failed", reason=SENTENCE))
    wrong = with_repository(replace(AWAKE, name="My_Model"), replace(taken, name="My_Model"))
    assert (wrong.name, wrong.state.phase) == ("My_Model", "failed")


def test_what_calls_a_model_that_is_not_published_has_failed_until_it_is_back() -> None:
    outer = replace(SERVED, name="outer", facts=replace(FACTS, steps=("digits", "inner")), phase="failed")
    beside = {"outer": outer, "inner": replace(SERVED, name="inner", facts=replace(FACTS, steps=("last",)))}
    for step, others in (("digits", {**beside, "last": SERVED}), ("last", {**beside, "digits": SERVED})):
        state = with_repository(replace(AWAKE, name="outer"), outer, others).state
        reason = f"the model {step} that it calls is away: put it back, or remove this one, too"
        assert state == State(phase="failed", reason=reason)
    there = {**beside, "digits": replace(SERVED, phase="failed"), "last": SERVED}
    assert with_repository(replace(AWAKE, name="outer"), outer, there).state == AWAKE.state
