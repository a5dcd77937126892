"""``switchyard status`` at several widths."""

from typing import Any

import pytest

from switchyard.local.status.report import lines

LONG = (
    "exited with code 3: the weights in /srv/models/model-repository/llm/a-very-long-name are not those of config.json"
)


def row(**fields: Any) -> dict[str, Any]:
    of_a_sleeper = {"state": "asleep", "seconds": 3.2, "pid": 0, "starts": 0, "reason": "", "phases": {}}
    return of_a_sleeper | fields


ROWS = {
    "chat-fast": row(
        state="ready",
        pid=4194303,
        starts=2,
        held=0,
        in_flight=12,
        phases={"preload": 17.21, "spawn": 0.0, "import": 1.5, "load": 0.62, "warm-up": 0.1, "ready": 0.0},
    ),
    "chat-fast-canary": row(state="failed", seconds=86400, starts=3, held=0, in_flight=0, reason=LONG),
    "vision": row(held=0, in_flight=0),
    "gateway": row(state="ready", pid=7, starts=1),
}


@pytest.mark.parametrize("columns", [24, 40, 60, 80, 100, 160, None])
def test_every_name_and_number_is_whole_and_no_line_is_too_long(columns: int | None) -> None:
    told = list(lines(ROWS, columns))
    for name, fields in ROWS.items():
        (own,) = (line for line in told if line.split("  ")[0] == name)
        assert own.split("  ", 1)[1].strip().startswith(fields["state"])
    words = " ".join(told).split()
    for word in ("4194303", "12", "86400", *LONG.split(), "17.2", "warm-up"):
        assert any(one.rstrip(",;") == word for one in words), word
    longest = max(len(word) for word in LONG.split()) + 2
    assert columns is None or max(map(len, told)) <= max(columns, longest)


@pytest.mark.parametrize("columns", [24, 200, None])
def test_what_a_model_says_cannot_command_the_terminal(columns: int | None) -> None:
    evil = "\x1b[2J\u202e\nfaked"
    told = list(lines({"chat": row(state="failed", reason=evil), f"llm/{evil}": row()}, columns))
    assert all(line.isprintable() for line in told)
    assert sum(r"\x1b[2J\u202e faked" in line for line in told) == 2


def test_a_wide_table_has_one_line_for_each_process() -> None:
    told = list(lines(ROWS, None))
    assert len(told) == 1 + len(ROWS)
    assert told[0].split() == ["service", "state", "for", "process", "starts", "held", "in", "flight", "last", "start"]
    assert told[1].endswith("preload 17.2 s, spawn 0.0 s, import 1.5 s, load 0.6 s, warm-up 0.1 s, ready 0.0 s")


def test_at_80_columns_the_last_start_is_below_its_row() -> None:
    told = list(lines(ROWS, 80))
    assert told[0].split() == ["service", "state", "for", "process", "starts", "held", "in", "flight"]
    assert told[1].split() == ["chat-fast", "ready", "3", "s", "4194303", "2", "0", "12"]
    assert told[2] == "  preload 17.2 s, spawn 0.0 s, import 1.5 s, load 0.6 s, warm-up 0.1 s, ready"
    assert told[3] == "  0.0 s"


def test_on_a_narrow_terminal_every_number_has_its_name_beside_it() -> None:
    told = list(lines(ROWS, 40))
    assert told[0] == "chat-fast  ready  3 s"
    assert told[1] == "  process 4194303, starts 2, held 0, in"
    assert "  starts 0, held 0, in flight 0" in told
