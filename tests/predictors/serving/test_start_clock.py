"""When a predictor began."""

import subprocess
import sys
import time


def test_a_process_knows_when_it_began_before_its_imports() -> None:
    script = "from predictors.serving.start_clock import process_start; print(process_start())"
    before = time.monotonic()
    began = float(subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout)
    assert before - 0.02 <= began <= time.monotonic()  # the kernel counts in hundredths
    assert began - before < (time.monotonic() - before) / 2  # not when it was asked, which is at the end
