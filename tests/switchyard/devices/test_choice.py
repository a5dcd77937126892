"""What models run on is chosen from what machines say of themselves, recorded here; no test needs a GPU."""

from dataclasses import replace

import pytest

from switchyard.devices.choice import DeviceError, of_environment, of_machine
from switchyard.devices.probe import Probe

H200 = "GPU-5f3a0d1e-8c11-4d0c-9a35-2f6c1c1e7a01, NVIDIA H200, 580.95.05, 143771, 9.0, Disabled\n"
A100 = "GPU-0a8d5c2b-61aa-44f1-8a9e-c1d2b9e0f102, NVIDIA A100-SXM4-40GB, 590.44.01, 40960, 8.0, Disabled\n"
T4 = "GPU-2e1b7f90-3d0a-4c35-b0c4-91f0b1aa4e03, Tesla T4, 580.65.06, 15360, 7.5, [N/A]\n"
MODULE = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build\n"

# What `nvidia-smi -L` prints where an H200 is split.
MIG_LISTING = """\
GPU 0: NVIDIA H200 (UUID: GPU-5f3a0d1e-8c11-4d0c-9a35-2f6c1c1e7a01)
  MIG 1g.18gb     Device  0: (UUID: MIG-6a7c1f0e-53ad-5a6b-8d38-7a8f6f1d2a11)
  MIG 3g.71gb     Device  1: (UUID: MIG-c2d1b1a5-2f85-5d0e-9a53-0c8d9b3f2b12)
  MIG 1g.18gb+me  Device  2: (UUID: MIG-0d7b7a39-cc0f-55c6-8f7f-1e55d6c0aa13)
"""


def probe(
    output: str = "", *, status: int = 0, listing: str = "", wanted: str = "", visible: str | None = None
) -> Probe:
    return Probe(
        program=True, status=status, output=output, listing=listing, driver=MODULE, wanted=wanted, visible=visible
    )


CPU = {
    "no driver": (Probe(), "there is no NVIDIA driver"),
    "a driver in a container without its programs": (
        Probe(driver=MODULE),
        "driver 580.95.05 but there is no nvidia-smi",
    ),
    "a driver that does not respond": (
        probe(
            "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest "
            "NVIDIA driver is installed and running.\n",
            status=9,
        ),
        "nvidia-smi fails: NVIDIA-SMI has failed because it couldn't communicate",
    ),
    "a library of another version than the driver": (
        probe("Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 580.95\n", status=18),
        "nvidia-smi fails: Failed to initialize NVML: Driver/library version mismatch",
    ),
    "an nvidia-smi that says nothing": (probe("", status=6), "nvidia-smi fails: it says nothing"),
    "a driver without a GPU": (probe("No devices were found\n", status=6), "nvidia-smi fails: No devices were found"),
    "a list of no GPU": (probe(""), "nvidia-smi lists no GPU"),
    "fields that are missing": (probe("NVIDIA H200, 580.95.05\n"), "nvidia-smi says what is not understood"),
    "fields that are not known": (probe(H200.replace("143771", "[N/A]")), "nvidia-smi says what is not understood"),
    "a driver that is too old": (probe(H200.replace("580.95.05", "535.183.01")), "driver 535.183.01 is older than 580"),
    "a GPU that is too old": (
        probe("GPU-77, Tesla V100-SXM2-16GB, 580.95.05, 16384, 7.0, [N/A]\n"),
        "Tesla V100-SXM2-16GB has compute capability 7.0, and CUDA 13 of torch 2.13 needs 7.5 or newer",
    ),
    "MIG mode without a MIG device": (
        probe(H200.replace("Disabled", "Enabled"), listing=MIG_LISTING.splitlines()[0]),
        "GPU 0 is in MIG mode and has no MIG device",
    ),
    "a shell that hides all GPUs": (probe(H200, visible=""), "CUDA_VISIBLE_DEVICES= leaves no GPU"),
    "a shell that names no GPU of this machine": (probe(H200, visible="3"), "CUDA_VISIBLE_DEVICES=3 leaves no GPU"),
    "a person who wants the CPU": (probe(H200, wanted="cpu"), "SWITCHYARD_DEVICE=cpu says so"),
}


@pytest.mark.parametrize("machine", CPU)
def test_the_cpu_is_chosen_and_why_is_said(machine: str) -> None:
    recorded, reason = CPU[machine]
    choice = of_machine(recorded)

    assert (choice.kind, choice.device.memory, choice.environment) == ("cpu", 0, {})
    assert choice.sentence.startswith("models run on the CPU: ")
    assert reason in choice.sentence


GPU = {
    "an H200": (probe(H200), "GPU-5f3a", (9, 0), 143771, "GPU 0, NVIDIA H200 with 140 GiB, compute capability 9.0"),
    "an A100": (probe(A100), "GPU-0a8d", (8, 0), 40960, "NVIDIA A100-SXM4-40GB with 40 GiB"),
    "a T4, without bfloat16": (probe(T4), "GPU-2e1b", (7, 5), 15360, "Tesla T4 with 15 GiB, compute capability 7.5"),
    "two GPUs": (probe(T4 + A100), "GPU-0a8d", (8, 0), 40960, "GPU 1, NVIDIA A100-SXM4-40GB with 40 GiB, compute"),
    "two GPUs of one kind": (probe(A100 + A100.replace("0a8d", "0b8d")), "GPU-0a8d", (8, 0), 40960, "the largest of 2"),
    "two GPUs, one named by index": (probe(T4 + A100, visible="0"), "GPU-2e1b", (7, 5), 15360, "GPU 0, Tesla T4"),
    "two GPUs, one named by UUID": (probe(T4 + A100, visible="GPU-2e1b7"), "GPU-2e1b", (7, 5), 15360, "Tesla T4"),
    "a new GPU beside one that is too old": (
        probe("GPU-77, Tesla V100-SXM2-32GB, 590.44.01, 32768, 7.0, [N/A]\n" + T4),
        "GPU-2e1b",
        (7, 5),
        15360,
        "GPU 1, Tesla T4",
    ),
    "an H200 that is split": (
        probe(H200.replace("Disabled", "Enabled"), listing=MIG_LISTING),
        "MIG-c2d1",
        (9, 0),
        71 * 1024,
        "NVIDIA H200 MIG 3g.71gb with 71 GiB, compute capability 9.0, driver 580.95.05, the largest of 3",
    ),
    "WSL, whose kernel has no driver of NVIDIA's": (
        replace(probe("GPU-9c, NVIDIA GeForce RTX 4090, 581.29, 24564, 8.9, [N/A]\n"), driver=""),
        "GPU-9c",
        (8, 9),
        24564,
        "NVIDIA GeForce RTX 4090 with 24 GiB",
    ),
}


@pytest.mark.parametrize("machine", GPU)
def test_a_gpu_is_chosen_with_its_memory_and_given_to_every_model(machine: str) -> None:
    recorded, uuid, capability, mib, reason = GPU[machine]
    choice = of_machine(recorded)

    assert choice.kind == "cuda"
    assert choice.device.compute_capability == capability
    assert choice.device.memory == int(mib * 2**20 * 0.9)
    assert choice.environment["CUDA_VISIBLE_DEVICES"].startswith(uuid)
    assert choice.sentence.startswith("models run on GPU ")
    assert reason in choice.sentence


def test_a_gpu_that_is_wanted_and_cannot_be_used_is_an_error_with_the_reason() -> None:
    with pytest.raises(DeviceError, match="SWITCHYARD_DEVICE is cuda, but driver 535"):
        of_machine(probe(H200.replace("580.95.05", "535.183.01"), wanted="cuda"))
    with pytest.raises(DeviceError, match="SWITCHYARD_DEVICE is 'tpu': it must be cpu, cuda, or empty"):
        of_machine(Probe(wanted="tpu"))


def test_models_run_on_what_the_installed_packages_are_for() -> None:
    with_cpu, with_gpu = replace(probe(H200), packages="cpu"), replace(probe(H200), packages="cuda")

    assert of_environment(with_gpu).kind == "cuda"
    assert of_environment(with_cpu).kind == "cpu"
    assert "There is GPU 0, NVIDIA H200" in of_environment(with_cpu).sentence
    assert "`make setup` installs it" in of_environment(with_cpu).sentence
    with pytest.raises(DeviceError, match="vLLM is installed for CPUs: run `make setup`"):
        of_environment(replace(with_cpu, wanted="cuda"))


def test_packages_for_a_gpu_that_is_gone_are_named() -> None:
    choice = of_environment(Probe(packages="cuda"))

    assert choice.kind == "cpu"
    assert "vLLM is installed for GPUs and does not start on it: run `make setup`" in choice.sentence
