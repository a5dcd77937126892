"""The device of models that run on other machines than the program which asks: what a cluster's overlay says of it."""

import re
from collections.abc import Mapping

from switchyard.devices.choice import DeviceError
from switchyard.devices.probe import WANTED_VARIABLE
from switchyard.repository.inspection import Device

MEMORY_VARIABLE = f"{WANTED_VARIABLE}_MEMORY"  # of one GPU, as nvidia-smi says it, such as 23034Mi
CAPABILITY_VARIABLE = f"{WANTED_VARIABLE}_CAPABILITY"  # such as 8.6

_SHARE = 0.92  # of its GPU, which a model takes: vLLM's default of --gpu-memory-utilization (0.32, config/cache.py)
_MEMORY = re.compile(r"([1-9]\d{0,6})(Mi|Gi)")
_CAPABILITY = re.compile(r"([1-9]\d?)\.(\d)")
_UNITS = {"Mi": 2**20, "Gi": 2**30}


def of_deployment(environ: Mapping[str, str]) -> Device:
    """Return the device that ``environ`` declares: a CPU, or the smallest and oldest GPU that a model may get.

    Raises:
        DeviceError: it declares none, or not all of a GPU.
    """
    kind = environ.get(WANTED_VARIABLE, "")
    if kind == "cpu":
        return Device(kind="cpu")
    if kind != "cuda":
        raise DeviceError(f"{WANTED_VARIABLE} is {kind!r}: the overlay has to say whether models run on cpu or cuda")
    memory = _read(environ, MEMORY_VARIABLE, _MEMORY, "23034Mi")
    capability = _read(environ, CAPABILITY_VARIABLE, _CAPABILITY, "8.6")
    return Device(
        kind="cuda",
        memory=int(int(memory[1]) * _UNITS[memory[2]] * _SHARE),
        compute_capability=(int(capability[1]), int(capability[2])),
    )


def _read(environ: Mapping[str, str], name: str, form: re.Pattern[str], example: str) -> re.Match[str]:
    text = environ.get(name, "")
    if found := form.fullmatch(text):
        return found
    raise DeviceError(f"{name} is {text!r}: {WANTED_VARIABLE}=cuda needs it, as in {example}")
