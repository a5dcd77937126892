"""What clients are told of why a model does not serve."""

from pathlib import Path

import pytest

from switchyard.local.status.client_reason import for_clients

CASES = {
    "a folder of the repository": (
        "exited with code 2: {root}/model-repository/llm/embed holds no config.json; see `switchyard logs embed`",
        "exited with code 2: model-repository/llm/embed holds no config.json; see `switchyard logs embed`",
    ),
    "an interpreter and the root": (
        "cannot start {root}/.venv/bin/python in {root}: [Errno 2] No such file: '{root}/.venv/bin/python'",
        "cannot start python in the working directory: [Errno 2] No such file: 'python'",
    ),
    "files elsewhere": ("/usr/lib/x/triton.cc:61: (/usr/bin/python3.11) failed", "triton.cc:61: (python3.11) failed"),
    "the end of a sentence": ("look into /usr/share/models.", "look into models."),
    "a file's URL": ("cannot read file:///usr/share/x.json", "cannot read x.json"),
    "an option": ("--path=/usr/share/x", "--path=x"),
    "paths of HTTP": ("not ready within 3 s (GET /v2/health/ready)", "not ready within 3 s (GET /v2/health/ready)"),
    "a URL": ("http://127.0.0.1:80/usr/lib does not respond", "http://127.0.0.1:80/usr/lib does not respond"),
    "a relative path": ("./usr/lib and a/usr/lib and 1/2", "./usr/lib and a/usr/lib and 1/2"),
    "a long name": ("/" + "x" * 290, "/" + "x" * 290),
}


@pytest.mark.parametrize(("reason", "told"), CASES.values(), ids=CASES)
def test_clients_are_told_no_paths_of_this_machine(tmp_path: Path, reason: str, told: str) -> None:
    assert for_clients(reason.format(root=tmp_path), tmp_path) == told


def test_a_root_with_spaces_is_left_out_too(tmp_path: Path) -> None:
    root = tmp_path / "my models"
    assert for_clients(f"{root}/llm/a is empty", root) == "./llm/a is empty"
