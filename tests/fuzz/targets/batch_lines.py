"""The file of a batch: ``switchyard.gateway.batches.lines.requests``. What has no fault can be run, line by line."""

import tempfile
from pathlib import Path

import orjson

from switchyard.gateway.batches.lines.requests import Requests, endpoint_route
from switchyard.gateway.routes.match import Router

TOKENS = (
    *(b'{"custom_id": "a", "method": "POST", "url": "/v1/embeddings", "body": {"model": "embed", "input": "a"}}\n',),
    *(
        b'"custom_id"',
        b'"url"',
        b'"/v2/models/ocr/infer"',
        b'"/openai/v1/embeddings"',
        b'"method"',
        b'"GET"',
        b'"body"',
    ),
    *(b'"model"', b'"stream": true', b"\n", b"\r\n", b"\0", b"\xff", b"null", b"[]", b"{}", b'"\\ud800"', b"1e999"),
)
_ROUTER = Router()


def target(data: bytes) -> None:
    route = endpoint_route(_ROUTER, "/v1/embeddings")
    assert route is not None
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        requests = Requests(Path(file.name), route, _ROUTER)
        try:
            faults = requests.check()
            assert all(fault.line is None or 0 < fault.line <= data.count(b"\n") + 1 for fault in faults)
            if faults:
                return
            found = [requests.get(number) for number in range(len(requests))]
            assert found
            assert len({one.custom_id for one in found}) == len(found)
            assert all(one.match.route is route and isinstance(orjson.loads(one.body), dict) for one in found)
            groups = requests.by_model(range(len(requests)))
            assert sorted(number for numbers in groups.values() for number in numbers) == list(range(len(requests)))
        finally:
            requests.close()
