import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.cluster.pods import Sighting
from benchmarks.cluster.start import figures_of, keeping_bytecode, parts_of

INSIDE = {"import": 9.0, "load": 0.5, "warm-up": 0.1, "ready": 0.0, "spawn": 0.2}
CREATED = Sighting(100.2, {"spec": {}, "status": {"phase": "Pending"}})
SCHEDULED = Sighting(100.3, {"spec": {"nodeName": "node"}, "status": {"conditions": []}})
WAITING = Sighting(
    101.5, {"spec": {"nodeName": "node"}, "status": {"conditions": [{"type": "Ready", "status": "False"}]}}
)
READY = Sighting(111.6, {"spec": {"nodeName": "node"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}})


def test_the_parts_of_a_pods_start_sum_up_to_it() -> None:
    parts = parts_of(began=100.0, first=112.0, process=101.0, inside=INSIDE, seen=(CREATED, SCHEDULED, WAITING, READY))

    assert parts == pytest.approx(
        {
            "pod created": 0.2,
            "schedule": 0.1,
            "process begins": 0.7,
            "import": 9.0,
            "load": 0.5,
            "warm-up": 0.1,
            "seen ready": 1.0,
            "first token": 0.4,
        }
    )
    assert sum(parts.values()) == pytest.approx(12.0)


def test_a_process_without_a_pod_has_the_parts_that_it_can_have() -> None:
    parts = parts_of(began=100.0, first=110.0, process=100.1, inside=INSIDE)

    assert parts == pytest.approx(
        {"process begins": 0.1, "import": 9.0, "load": 0.5, "warm-up": 0.1, "first token": 0.3}
    )


def test_the_ratio_is_taken_within_each_round() -> None:
    figures = figures_of(
        {"pod": [12.0, 24.0], "local process": [10.0, 20.0], "pod: memory of the predictor": [1.0, 2.0]}
    )

    assert figures[0].values == pytest.approx((1.2, 1.2))
    assert [figure.unit for figure in figures] == ["x", "s", "s", "MB PSS"]


def test_bytecode_is_kept_for_a_while_even_where_none_is_to_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    (tmp_path / "compiled_once.py").touch()
    before = dict(os.environ)

    with keeping_bytecode():
        folder = Path(os.environ["PYTHONPYCACHEPREFIX"])
        subprocess.run([sys.executable, "-c", "import compiled_once"], cwd=tmp_path, check=True)
        assert list(folder.rglob("compiled_once.*.pyc"))

    assert dict(os.environ) == before
    assert not folder.exists()
