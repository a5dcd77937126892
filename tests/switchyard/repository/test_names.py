"""What a model may be called."""

import pytest

from switchyard.repository.names import LONGEST_NAME, name_fault, quoted, visible
from switchyard.repository.verdict import FaultCode


@pytest.mark.parametrize("name", ["digits", "chat-fast", "ocr-v2", "a", "x" * LONGEST_NAME])
def test_kebab_case_is_a_name(name: str) -> None:
    assert name_fault(name, {}) is None


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("My_Model", "'my-model'"),
        ("digits.v2", "'digits-v2'"),
        ("2-step", "'model-2-step'"),
        ("-a--b-", "'a-b'"),
        ("1", "such as 'my-model/1'"),
        ("Größe", "'gro-e'"),
        ("模型", "'model'"),
        ("", "'model'"),
        ("a\nb", "'a-b'"),
        ("x" * (LONGEST_NAME + 1), f"at most {LONGEST_NAME}"),
    ],
)
def test_another_name_is_a_fault_with_one_that_would_do(name: str, says: str) -> None:
    fault = name_fault(name, {})
    assert fault is not None
    assert fault.code is FaultCode.NAME
    assert says in fault.message
    assert fault.message.isprintable()


def test_a_name_is_taken_once() -> None:
    fault = name_fault("complexity", {"complexity": "the InferenceService complexity"})
    assert fault is not None
    assert fault.message.startswith("The name 'complexity' is taken by the InferenceService complexity")


def test_a_name_in_a_sentence_is_short_and_printable() -> None:
    assert quoted("a" * 100) == f"'{'a' * 79}…'"
    assert quoted("\x1b[31m") == r"'\x1b[31m'"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("größer als 模型 — “so” 🙂", "größer als 模型 — “so” 🙂"),
        ("red \x1b[31m\x07", r"red \x1b[31m\x07"),
        ("\u202egpj.exe\u2066", r"\u202egpj.exe\u2066"),
        ("one\nfaked: published\ttrue\r", "one faked: published true "),
        ("\x9b2J\udcff", r"\x9b2J\udcff"),
    ],
)
def test_a_terminal_is_given_one_line_that_commands_nothing(text: str, shown: str) -> None:
    assert visible(text) == shown
