"""What services that host a repository say about it."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from switchyard.cluster.hosted_models import HostedModels, model_index
from tests.switchyard.cluster.documents import READY, revision, service

VISION = service("vision", "vision", status=READY)
AWAKE, ASLEEP = (revision("vision-predictor", actual=count, desired=count) for count in (1, 0))


@pytest.fixture
def triton() -> Iterator[str]:
    """The repository index as Triton answers it."""
    rows = [{"name": "ocr", "version": "1", "state": "READY"}, {"name": "ocr", "version": "2"}, {"name": "digits"}]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.dumps(rows if self.path == "/v2/repository/index" else {"error": self.path}).encode()
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    http = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    http.server_close()
    thread.join()


def test_an_index_names_each_model_once_loaded_or_not(triton: str) -> None:
    assert model_index(triton) == ["digits", "ocr"]


def test_what_is_no_index_is_an_error(triton: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        model_index(f"{triton}/elsewhere")


def test_a_service_whose_address_is_not_there_yet_is_asked_again() -> None:
    learned = threading.Event()
    answers: Iterator[Exception | list[str]] = iter(
        [OSError("Name or service not known"), ValueError("no index"), ["ocr"]]
    )

    def ask(url: str) -> list[str]:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    repositories = HostedModels(learned.set, ask, pauses=(0, 0, 0))
    repositories.follow([VISION, service()], [AWAKE])
    assert learned.wait(20)
    assert repositories.models == {"vision": ["ocr"]}
    repositories.follow([VISION], [ASLEEP])
    assert repositories.models == {"vision": ["ocr"]}
    repositories.follow([], [])
    assert not repositories.models


def test_an_index_that_arrives_while_services_change_is_not_lost() -> None:
    change, learned = threading.Event(), threading.Event()

    class Slow(dict[str, list[str]]):
        def items(self) -> Any:
            change.set()
            learned.wait(0.2)  # in vain where a change waits for the one before it
            return super().items()

    def ask(url: str) -> list[str]:
        assert change.wait(20)
        return ["ocr"]

    repositories = HostedModels(learned.set, ask)
    repositories.models = Slow()
    repositories.follow([VISION], [AWAKE])
    assert learned.wait(20)
    assert repositories.models == {"vision": ["ocr"]}


def test_a_service_that_went_to_sleep_is_not_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    asked, asleep = [], threading.Event()

    def ask(url: str) -> list[str]:
        asked.append(url)
        assert asleep.wait(20)
        raise OSError("connection refused")

    repositories = HostedModels(lambda: None, ask, pauses=(0, 0, 0))
    repositories.follow([VISION], [AWAKE])
    repositories.follow([VISION], [ASLEEP])
    asleep.set()
    for thread in threading.enumerate():
        if thread.name == "repository-index":
            thread.join(20)
    assert len(asked) == 1
    assert "connection refused" in caplog.records[0].__dict__["reason"]
