"""``python -m switchyard.devices``: print ``cpu`` or ``cuda``, and a sentence that says why; for ``.ci/setup``."""

import os
import sys

from switchyard.devices.choice import DeviceError, of_machine
from switchyard.devices.probe import probe

try:
    choice = of_machine(probe(os.environ))
except DeviceError as err:
    sys.exit(str(err))
print(f"{choice.kind} {choice.sentence}")
