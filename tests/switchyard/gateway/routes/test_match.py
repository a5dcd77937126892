"""The route table, and the catalog as requests see it."""

from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.catalog import Catalog, CatalogError, CatalogFile
from switchyard.catalog.cached import CachedCatalog
from switchyard.gateway.routes.match import Match, Missed, Router
from switchyard.gateway.routes.table import ROUTES
from tests.switchyard.gateway.conftest import entries


def test_every_route_finds_itself() -> None:
    router = Router()
    for route in ROUTES:
        path = route.path.replace("{model}", "m").replace("{version}", "1")
        found = router.match(route.method, path)
        assert isinstance(found, Match)
        assert found.route is route
        prefixed = router.match(route.method, "/openai" + path)
        assert isinstance(prefixed, Match) == route.prefixed


@given(st.sampled_from(["GET", "POST", "PUT", "PRI"]), st.text(st.sampled_from("/v12.%2emodelsopenai{}"), max_size=60))
def test_any_path_matches_a_route_or_is_missed(method: str, path: str) -> None:
    found = Router().match(method, "/" + path)
    assert isinstance(found, Missed) or "{" not in found.params.get("version", "")


@pytest.mark.parametrize("sent", ["m", "%6d", "m" * 300, "%6D" * 300], ids=["short", "encoded", "long", "both"])
def test_a_request_that_comes_again_finds_the_same_route_and_model(sent: str) -> None:
    router = Router()
    for path in (f"/v2/models/{sent}/infer", f"/v2/models/x{sent}/infer", f"/v2/models/{sent}/infer"):
        found = router.match_raw(b"POST", path.encode())
        assert isinstance(found, Match)
        assert found.params == {"model": unquote(path.split("/")[3])}
        assert isinstance(router.match_raw(b"PUT", path.encode()), Missed)


def test_a_recent_catalog_is_read_again_after_its_time(tmp_path: Path) -> None:
    file = CatalogFile(tmp_path / "catalog.json")
    file.replace(entries("http://127.0.0.1:1"))
    kept, fresh = CachedCatalog(file, seconds=3600), CachedCatalog(file, seconds=0)
    assert kept.current().get("chat") is not None
    file.replace(Catalog({}))
    assert kept.current().get("chat") is not None
    assert fresh.current().get("chat") is None


def test_a_catalog_that_cannot_be_read_is_asked_for_again(tmp_path: Path) -> None:
    path = tmp_path / "catalog.json"
    recent = CachedCatalog(CatalogFile(path), seconds=3600)
    path.write_text("{")
    with pytest.raises(CatalogError):
        recent.current()
    CatalogFile(path).replace(entries("http://127.0.0.1:1"))
    assert recent.current().get("chat") is not None
