"""No image floats: ours have a version, those of others a tag and a digest, wherever this project names one."""

import re
from typing import Any

import pytest
import yaml

from tests.manifests.documents import ENVIRONMENTS, ROOT, Rendered, leaves

PINNED = re.compile(r"switchyard/[\w-]+:\d+\.\d+\.\d+|(?!switchyard/)[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}")
DIGEST = "sha256:" + "0" * 64


def floating(images: set[str]) -> set[str]:
    return {image for image in images if not PINNED.fullmatch(image)}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_images_in_the_overlays(rendered: Rendered, environment: str) -> None:
    values = [leaf for document in rendered[environment] for leaf in leaves(document)]
    found = {str(value) for path, value in values if path.endswith(".image")}
    assert found
    assert floating(found) == set()


def test_images_that_ours_begin_with() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    defaults = dict(re.findall(r"^ARG (\w+_IMAGE)=(.*)$", dockerfile, re.MULTILINE))
    stages = set(re.findall(r" AS (\w[\w-]*)$", dockerfile, re.MULTILINE))
    first = {base for base in re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE) if base not in stages}
    assert first == {f"${{{name}}}" for name in defaults}
    assert floating(set(defaults.values())) == set()


def test_images_of_compose() -> None:
    services: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    assert floating({service["image"] for service in services.values()}) == set()


def test_a_tag_alone_or_a_digest_alone_is_no_pin() -> None:
    bad = {"redis", "redis:7.2", f"redis@{DIGEST}", "redis:7.2@sha256:0", "switchyard/platform", "switchyard/x:latest"}
    assert floating(bad) == bad
    assert floating({f"redis:7.2@{DIGEST}", "switchyard/platform:0.1.0"}) == set()
