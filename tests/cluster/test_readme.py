"""The README's first block through the cluster's front door, the overlay's Ingress, while its model sleeps."""

from dataclasses import dataclass

import pytest

from tests.cluster.client import Cluster
from tests.live.test_readme import test_the_readmes_commands_print_what_it_shows  # noqa: F401  (pytest collects it)
from tools.cluster.machine.layout import INGRESS_ADDRESS

pytestmark = pytest.mark.cluster


@dataclass(frozen=True, slots=True)
class FrontDoor:
    """What that test takes for the platform."""

    url: str


@pytest.fixture
def platform(cluster: Cluster) -> FrontDoor:
    cluster.wait_asleep("chat-fast")
    return FrontDoor(f"http://{INGRESS_ADDRESS}")
