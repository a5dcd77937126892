"""What the model's card says, as it may be shown at a terminal."""

from pathlib import Path

from switchyard.repository.card import read_card


def test_a_card_is_shown_without_what_commands_a_terminal_or_turns_the_writing(tmp_path: Path) -> None:
    front = '---\nlicense: other\nlicense_name: "m\\u202ei\\x1b[1mt"\n---\n'
    (tmp_path / "README.md").write_text(front + "# Digits\n\nA \x1b[2Jnet\u202e of \x9bdigits\u2069, für 数字.\n")
    card = read_card(tmp_path)
    assert card.license == "mi[1mt"
    assert card.description == "A [2Jnet of digits, für 数字."
