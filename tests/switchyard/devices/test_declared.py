"""A cluster's overlay says what models run on, and the sync judges them for that."""

import pytest

from switchyard.devices.choice import DeviceError
from switchyard.devices.declared import of_deployment
from switchyard.repository.inspection import Device

A10G = {"SWITCHYARD_DEVICE": "cuda", "SWITCHYARD_DEVICE_MEMORY": "24Gi", "SWITCHYARD_DEVICE_CAPABILITY": "8.6"}


def test_a_cpu_needs_nothing_else() -> None:
    assert of_deployment({"SWITCHYARD_DEVICE": "cpu", "SWITCHYARD_DEVICE_MEMORY": "nonsense"}) == Device()


def test_a_gpu_gives_models_the_share_that_vllm_takes() -> None:
    device = of_deployment(A10G)

    assert (device.kind, device.compute_capability) == ("cuda", (8, 6))
    assert device.memory == int(24 * 2**30 * 0.92)
    assert of_deployment({**A10G, "SWITCHYARD_DEVICE_MEMORY": "24576Mi"}) == device
    assert of_deployment({**A10G, "SWITCHYARD_DEVICE_CAPABILITY": "12.0"}).compute_capability == (12, 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SWITCHYARD_DEVICE", ""),
        ("SWITCHYARD_DEVICE", "rocm"),
        ("SWITCHYARD_DEVICE_MEMORY", ""),
        ("SWITCHYARD_DEVICE_MEMORY", "24"),
        ("SWITCHYARD_DEVICE_MEMORY", "0Gi"),
        ("SWITCHYARD_DEVICE_CAPABILITY", ""),
        ("SWITCHYARD_DEVICE_CAPABILITY", "8"),
    ],
)
def test_what_is_missing_or_wrong_is_named(name: str, value: str) -> None:
    with pytest.raises(DeviceError, match=f"^{name} is '{value}'"):
        of_deployment({**A10G, name: value})
