"""Logs of every format, as a collector reads them: each line once, over rotations and restarts."""

import json
from pathlib import Path

import pytest

from switchyard.local.status import rotation
from tests.live.observability.shipping import found, shipped
from tests.live.processes import eventually

pytestmark = pytest.mark.live

TRACE = "0af7651916cd43dd8448eb211c80319c"
KEY = "sy-" + "a1B2c3D4e5" * 5
KEY = KEY[:52]


def line(number: int, **fields: object) -> str:
    common = {"time": f"2026-01-01T00:00:{number:02}.5+00:00", "level": "warning", "service": "chat", "logger": "x"}
    return json.dumps({**common, "message": f"line {number}", **fields}) + "\n"


def test_lines_of_pods_and_of_a_run_are_sent_once_over_rotations_and_restarts(tmp_path: Path) -> None:
    pod = tmp_path / "pods" / "switchyard-prod_gateway-1_0a-1b" / "gateway" / "0.log"
    pod.parent.mkdir(parents=True)
    said = line(1, service="gateway", trace_id=TRACE, tenant="acme").strip()
    pod.write_text(
        f"2026-01-01T00:00:01.500000000Z stderr P {said[:20]}\n2026-01-01T00:00:01.500000001Z stderr F {said[20:]}\n"
    )
    log = tmp_path / "logs" / "chat.log"
    log.parent.mkdir()
    log.write_text(line(2, request_id="r2") + f"no JSON, with {KEY}\n")
    with shipped(tmp_path / "first", str(tmp_path / "[pl]o[dg]s" / "**" / "*.log*")) as store:
        (of_pod,) = found(store, "trace_id:=" + TRACE, {"gateway"})
        assert (of_pod["_msg"], of_pod["tenant"], of_pod["_time"]) == ("line 1", "acme", "2026-01-01T00:00:01.5Z")
        assert (of_pod["k8s.namespace.name"], of_pod["k8s.pod.name"]) == ("switchyard-prod", "gateway-1")
        (of_run,) = found(store, 'request_id:="r2"', {"chat"})
        assert (of_run["_msg"], of_run["severity_text"].lower()) == ("line 2", "warning"), of_run
        (raw,) = eventually(lambda: store.rows('"no JSON"'), "a line without JSON")
        assert KEY not in str(raw)

        with log.open("a") as file:
            file.write(line(3))
            file.flush()
            rotation.set_aside(log)
            file.write(line(4))

        def numbers() -> list[str]:
            return sorted(row["_msg"] for row in store.rows('_msg:"line"'))

        expected = [f"line {number}" for number in (1, 2, 3, 4)]
        eventually(lambda: numbers() == expected, f"each line once, not {numbers()}\n{store.tail()}")
