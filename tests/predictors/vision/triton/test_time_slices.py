"""The time slices of a process that loads a model, as the kernel has them."""

import platform
import subprocess
import sys

import pytest

ROUND_TRIP = """
import ctypes, os, struct, threading
from predictors.vision.triton.backends.onnxruntime import time_slices

def slices():
    number = {"x86_64": 315, "aarch64": 275}[os.uname().machine]  # sched_getattr
    found = set()
    for thread in map(int, os.listdir("/proc/self/task")):
        buffer = ctypes.create_string_buffer(48)
        assert ctypes.CDLL(None).syscall(number, thread, buffer, 48, 0) == 0
        found.add(struct.unpack("=IIQiIQQQ", buffer.raw)[5])
    return found

ends = threading.Event()
before = slices()
time_slices.ask_for(time_slices.LONGEST)
threading.Thread(target=ends.wait).start()
during = slices()
time_slices.ask_for(time_slices.USUAL)
after = slices()
ends.set()
assert before == after, (before, after)
print(*during)
"""


def run(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="the test knows the calls of these")
def test_threads_of_a_load_ask_for_long_slices_and_have_the_usual_ones_again() -> None:
    during = run(ROUND_TRIP).split()
    major, minor = map(int, platform.release().split(".")[:2])
    if (major, minor) >= (6, 12):
        assert during == ["100000000"]
    else:
        assert len(during) == 1


def test_a_machine_whose_calls_are_not_known_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from predictors.vision.triton.backends.onnxruntime import time_slices

    monkeypatch.setattr(platform, "machine", lambda: "vax")
    time_slices.ask_for(time_slices.LONGEST)
