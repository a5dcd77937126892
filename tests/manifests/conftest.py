"""The overlays, rendered once."""

import shutil

import pytest

from tests.manifests.documents import Rendered, render_all


@pytest.fixture(scope="session")
def rendered() -> Rendered:
    assert shutil.which("kubectl"), "kubectl is needed to render overlays; `make setup` says how to get it"
    return render_all()
