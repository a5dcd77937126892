"""The overlay that runs in the test cluster is the dev overlay, but for what its first lines say."""

from pathlib import Path
from typing import Any

import yaml

from tools.cluster.machine.layout import OVERLAY, REPOSITORY

_DEV = REPOSITORY / "kustomize" / "overlays" / "dev"
_NEEDS_GPU_OR_INTERNET = {"gpu", "hub-models"}
_INSTEAD = {"cpu"}


def kustomization(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    return read


def components(folder: Path) -> set[str]:
    return {Path(path).name for path in kustomization(folder)["components"]}


def test_it_has_the_dev_overlays_components_without_gpu_and_internet() -> None:
    assert components(OVERLAY) == components(_DEV) - _NEEDS_GPU_OR_INTERNET | _INSTEAD


def test_it_has_the_dev_overlays_namespace_settings_and_transformers() -> None:
    ours, dev = kustomization(OVERLAY), kustomization(_DEV)
    for key in ("namespace", "configMapGenerator"):
        assert ours.get(key) == dev.get(key), key
    assert [Path(path).name for path in ours["transformers"]] == [Path(path).name for path in dev["transformers"]]
