"""A compressed body is 415 on every route, as the reference says."""

import gzip

import pytest

from switchyard.gateway.routes.table import ROUTES, VISION
from tests.switchyard.gateway.conftest import Bench

PATHS = {
    route.path.format(model="ocr" if route.kinds == VISION else "chat", version="1")
    for route in ROUTES
    if (route.method, route.by) == ("POST", "model")
}


@pytest.mark.parametrize("path", sorted(PATHS))
async def test_no_route_takes_a_compressed_body(bench: Bench, path: str) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    response = await bench.http.post(path, content=gzip.compress(b'{"model": "chat"}'), headers=headers)

    assert response.status_code == 415
    assert not bench.model.calls
