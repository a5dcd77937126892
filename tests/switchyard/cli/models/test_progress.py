"""What is printed of a download."""

import pytest

from switchyard.cli.models.progress import LINE_SECONDS, progress


def test_without_a_terminal_a_download_has_a_line_on_stderr_every_ten_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("FORCE_COLOR", "TTY_COMPATIBLE"):  # which make rich take a file for a terminal
        monkeypatch.delenv(variable, raising=False)
    now = 100.0
    with progress("downloading big", clock=lambda: now) as on_progress:
        for second in range(26):
            now = 100.0 + second
            on_progress(second * 1_000_000, 30_000_000)
    said = capsys.readouterr()
    assert (said.out, LINE_SECONDS) == ("", 10.0)
    assert said.err.splitlines() == [
        "downloading big: 10.0 of 30.0 MB after 10 s",
        "downloading big: 20.0 of 30.0 MB after 20 s",
    ]
