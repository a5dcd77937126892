"""The gRPC statuses of a predictor's exceptions, with a real server and client."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

STATUSES = {
    "InferenceError": ("INTERNAL", "out of memory", ["ERROR"]),  # not its client's fault
    "InvalidInput": ("INVALID_ARGUMENT", "no such input", []),
    "UnsupportedProtocol": ("UNIMPLEMENTED", "Unsupported protocol v9.", []),
    "ServerNotReady": ("UNAVAILABLE", "overloaded", []),
    "ServerNotLive": ("UNAVAILABLE", "Server is not live. overloaded", []),
    "ModelNotReady": ("UNAVAILABLE", "Model with name m is not ready. overloaded", []),
    "ModelNotFound": ("NOT_FOUND", "there is no model 'm' here", []),
    "NotImplementedError": ("UNIMPLEMENTED", "not here", []),
    "ApiError": ("UNIMPLEMENTED", "one model", []),
    "KeyError": ("INTERNAL", "this is a bug; the reason is in the service's log", ["ERROR"]),
}


def test_each_error_has_its_status_and_sentence() -> None:
    argv = [sys.executable, "-m", "tests.testdata.grpc_errors"]
    lines = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    outcomes = list(map(json.loads, lines))
    assert {name: (status, details, logged) for name, status, details, logged, _ in outcomes} == STATUSES
    assert {name: pushback for name, status, _, _, pushback in outcomes if pushback or status == "UNAVAILABLE"} == {
        name: "1000" for name, (status, _, _) in STATUSES.items() if status == "UNAVAILABLE"
    }
