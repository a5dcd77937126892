"""Which device models run on, from a probe alone."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from switchyard.devices.probe import FIELDS, VISIBLE_VARIABLE, WANTED_VARIABLE, Probe
from switchyard.repository.inspection import Device

# torch 2.13 is built for CUDA 13, which needs this driver and, as it has left older architectures out, this compute
# capability (NVIDIA: CUDA compatibility, table 1; CUDA 13.0 release notes).
DRIVER = 580
CAPABILITY = (7, 5)

_MIB = 2**20
_SHARE = 0.9  # of a GPU's memory: the rest is for the driver, and for a screen
_MIG = re.compile(r"^\s+MIG\s+(?P<profile>\S*?(?P<gb>\d+)gb\S*)\s.*\(UUID: (?P<uuid>MIG-\S+)\)")
_UUID = re.compile(r"^GPU \d+: .*\(UUID: (?P<uuid>GPU-\S+)\)")
_SHOWN = 200  # of what another program says


class DeviceError(Exception):
    """A device was asked for by name that cannot be used."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """The device of all models; ``reason`` is a sentence, and ``visible`` the value of ``CUDA_VISIBLE_DEVICES``."""

    device: Device
    reason: str
    visible: str = ""

    @property
    def kind(self) -> Literal["cpu", "cuda"]:
        return self.device.kind

    @property
    def sentence(self) -> str:
        return f"models run on {self.reason}" if self.visible else f"models run on the CPU: {self.reason}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which every model gets this device and no other."""
        return {VISIBLE_VARIABLE: self.visible} if self.visible else {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Gpu:
    """A GPU or a MIG device of one; ``memory`` in bytes."""

    index: int
    uuid: str
    name: str
    driver: str
    memory: int
    capability: tuple[int, int]

    def usable(self) -> bool:
        return self.capability >= CAPABILITY


def of_machine(probe: Probe) -> Choice:
    """Choose what to install packages for.

    Raises:
        DeviceError: ``SWITCHYARD_DEVICE`` is no device, or is ``cuda`` where no GPU can be used.
    """
    if probe.wanted not in ("", "cpu", "cuda"):
        raise DeviceError(f"{WANTED_VARIABLE} is {probe.wanted!r}: it must be cpu, cuda, or empty to find out")
    if probe.wanted == "cpu":
        return _cpu(f"{WANTED_VARIABLE}=cpu says so")
    found = _gpus(probe)
    if isinstance(found, str):
        if probe.wanted == "cuda":
            raise DeviceError(f"{WANTED_VARIABLE} is cuda, but {found}")
        return _cpu(found)
    gpu = max(found, key=lambda one: (one.memory, -one.index))
    others = f", the largest of {len(found)}: one GPU serves all models, and {VISIBLE_VARIABLE} names another"
    capability = ".".join(map(str, gpu.capability))
    return Choice(
        device=Device(kind="cuda", name=gpu.name, memory=int(gpu.memory * _SHARE), compute_capability=gpu.capability),
        reason=f"GPU {gpu.index}, {gpu.name} with {gpu.memory / 2**30:.0f} GiB, compute capability {capability}, "
        f"driver {gpu.driver}{others if len(found) > 1 else ''}",
        visible=gpu.uuid,
    )


def of_environment(probe: Probe) -> Choice:
    """Choose what models run on, which the installed packages must be made for.

    Raises:
        DeviceError: as ``of_machine``, or ``SWITCHYARD_DEVICE`` is ``cuda`` and the packages are for CPUs.
    """
    choice = of_machine(probe)
    if probe.packages in ("", choice.kind):
        return choice
    if choice.kind == "cpu":
        return _cpu(f"{choice.reason}. vLLM is installed for GPUs and does not start on it: run `make setup`")
    if probe.wanted == "cuda":
        raise DeviceError(f"{WANTED_VARIABLE} is cuda, but vLLM is installed for CPUs: run `make setup` with it")
    return _cpu(f"vLLM is installed for it. There is {choice.reason}, for which `make setup` installs it")


def _cpu(reason: str) -> Choice:
    return Choice(device=Device(kind="cpu"), reason=reason)


def _gpus(probe: Probe) -> Sequence[Gpu] | str:
    """Return the GPUs that can be used, or why there are none."""
    if not probe.program:
        if not probe.driver:
            return "there is no NVIDIA driver"
        version = re.search(r"\s(\d+\.[\d.]+)\s", probe.driver)
        return f"the kernel has NVIDIA's driver{f' {version[1]}' if version else ''} but there is no nvidia-smi to ask"
    if probe.status:
        first = next(iter(probe.output.strip().splitlines()), "it says nothing")
        return f"nvidia-smi fails: {first[:_SHOWN]}"
    try:
        gpus = [_gpu(index, line) for index, line in enumerate(probe.output.strip().splitlines())]
    except ValueError:
        return f"nvidia-smi says what is not understood: {probe.output.strip()[:_SHOWN]!r}"
    if not gpus:
        return "nvidia-smi lists no GPU"
    driver = gpus[0][0].driver
    if int(driver.split(".")[0]) < DRIVER:
        return f"driver {driver} is older than {DRIVER}, which CUDA 13 of torch 2.13 needs: update it"
    new = [(gpu, split) for gpu, split in gpus if gpu.usable()]
    if not new:
        oldest = f"{gpus[0][0].name} has compute capability {'.'.join(map(str, gpus[0][0].capability))}"
        return f"{oldest}, and CUDA 13 of torch 2.13 needs {'.'.join(map(str, CAPABILITY))} or newer"
    devices = [device for gpu, split in new for device in (_mig_devices(gpu, probe.listing) if split else [gpu])]
    if not devices:
        return f"GPU {new[0][0].index} is in MIG mode and has no MIG device: create one with `nvidia-smi mig -cgi … -C`"
    return _visible(devices, probe.visible)


def _gpu(index: int, line: str) -> tuple[Gpu, bool]:
    """Read a line of ``FIELDS``; return the GPU, and whether it is split into MIG devices.

    Raises:
        ValueError: it is not such a line.
    """
    fields = dict(zip(FIELDS, (field.strip() for field in line.split(",")), strict=True))
    major, minor = fields["compute_cap"].split(".")
    int(fields["driver_version"].split(".")[0])
    gpu = Gpu(
        index=index,
        uuid=fields["uuid"],
        name=fields["name"],
        driver=fields["driver_version"],
        memory=int(fields["memory.total"]) * _MIB,
        capability=(int(major), int(minor)),
    )
    return gpu, fields["mig.mode.current"] == "Enabled"


def _mig_devices(gpu: Gpu, listing: str) -> list[Gpu]:
    """Return the MIG devices of ``gpu``; their profile's name says how many GB each has."""
    found, inside = [], False
    for line in listing.splitlines():
        if match := _UUID.match(line):
            inside = match["uuid"] == gpu.uuid
        elif inside and (match := _MIG.match(line)):
            found.append(
                Gpu(
                    index=gpu.index,
                    uuid=match["uuid"],
                    name=f"{gpu.name} MIG {match['profile']}",
                    driver=gpu.driver,
                    memory=int(match["gb"]) * 2**30,
                    capability=gpu.capability,
                )
            )
    return found


def _visible(gpus: Sequence[Gpu], visible: str | None) -> Sequence[Gpu] | str:
    """Leave out what ``CUDA_VISIBLE_DEVICES`` does, which names GPUs by index or by the beginning of their UUID."""
    if visible is None:
        return gpus
    names = [name.strip() for name in visible.split(",")]
    seen = [
        gpu
        for gpu in gpus
        if any(name == str(gpu.index) or (len(name) > len("GPU-") and gpu.uuid.startswith(name)) for name in names)
    ]
    return seen or f"{VISIBLE_VARIABLE}={visible} leaves no GPU"
