"""``python -m benchmarks.telemetry.page``: how soon a fault is a page, with rules and intervals as they are shipped.

``switchyard up --observe`` serves three models, each asked twice a second until its windows hold nothing but responses.
Then each in turn fails for good: its process is killed whenever there is one, so every request is an error. The time
ends when the page of its availability is at Alertmanager's webhook. The faults are 11 s apart, so that each meets
another moment of scrapes (10 s) and evaluations (15 s).
"""

import argparse
import json
import os
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from benchmarks.platform import Platform, preloaded, running
from benchmarks.processes import wait_for
from benchmarks.repeating import repeatedly
from benchmarks.report import Figure, publish

_REQUESTS: dict[str, tuple[str, dict[str, object]]] = {
    "chat-fast": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}),
    "chat-reasoning": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}),
    "embed": ("/v1/embeddings", {"input": "a cat on a mat"}),
}
_EACH_SECONDS = 0.5  # a slow stream of requests is the harder case: errors come no faster than responses did
_APART_SECONDS = 11.0  # a prime that no interval is a multiple of
_LONGEST_WINDOW = 300.0  # of the fastest page; filled with responses before the fault
_DEADLINE = 300.0
_ALERT = "ModelAvailabilityBurn"


class Pager:
    """A webhook of Alertmanager: when the first page of each model came."""

    def __init__(self) -> None:
        self.pages: dict[str, float] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    @contextmanager
    def listening(self) -> Iterator[str]:
        """Listen while the block lasts; yield the address."""
        thread = threading.Thread(target=self._server.serve_forever)
        thread.start()
        try:
            yield self.url
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        pages = self.pages

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = json.loads(self.rfile.read(int(self.headers["content-length"])))
                for alert in content["alerts"]:
                    labels = alert["labels"]
                    if (labels["alertname"], labels["severity"], alert["status"]) == (_ALERT, "page", "firing"):
                        pages.setdefault(labels["model"], time.monotonic())
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


class Traffic:
    """Requests for one model, one after the other's time and not its end, until the block is left."""

    def __init__(self, platform: Platform, model: str) -> None:
        path, fields = _REQUESTS[model]
        self._request = urllib.request.Request(
            f"{platform.url}{path}",
            json.dumps({"model": model, **fields}).encode(),
            {"content-type": "application/json"},
        )
        self.statuses: list[int] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        threads: list[threading.Thread] = []

        def start(_: threading.Event) -> None:
            threads.append(threading.Thread(target=self._ask))
            threads[-1].start()

        try:
            with repeatedly(start, _EACH_SECONDS):
                yield
        finally:
            for thread in threads:
                thread.join()

    def _ask(self) -> None:
        try:
            with urllib.request.urlopen(self._request, timeout=60) as response:
                response.read()
                self.statuses.append(int(response.status))
        except urllib.error.HTTPError as err:
            with err:
                self.statuses.append(err.code)
        except OSError:
            self.statuses.append(0)


@contextmanager
def failing(platform: Platform, model: str) -> Iterator[None]:
    """Kill the process of a model whenever there is one."""

    def kill(_: threading.Event) -> None:
        if pid := platform.row(model)["pid"]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    with repeatedly(kill, 0.02):
        yield


def page_seconds(platform: Platform, pager: Pager, before: float) -> dict[str, float]:
    """Return the seconds from each model's fault, ``before`` seconds after the first responses, to its page."""
    faults: dict[str, float] = {}
    with ExitStack() as stack:
        traffic = {model: Traffic(platform, model) for model in _REQUESTS}
        for one in traffic.values():
            stack.enter_context(one.running())
        for model, one in traffic.items():
            wait_for(lambda one=one: 200 in one.statuses, f"{model} responds")  # type: ignore[misc]
        time.sleep(before)
        for model in _REQUESTS:
            faults[model] = time.monotonic()
            stack.enter_context(failing(platform, model))
            time.sleep(_APART_SECONDS)
        wait_for(lambda: faults.keys() <= pager.pages.keys(), "every model's page", _DEADLINE)
    return {model: pager.pages[model] - fault for model, fault in faults.items()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.telemetry.page", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="each takes some eight minutes")
    parser.add_argument(
        "--before",
        type=float,
        default=_LONGEST_WINDOW,
        help="seconds of responses before the faults; with fewer, the window of the page is not full of them",
    )
    options = parser.parse_args()
    seconds: list[float] = []
    for _ in range(options.rounds):
        pager = Pager()
        with (
            pager.listening() as url,
            running("--observe", "--alerts-to", url, window="30m") as platform,
        ):
            wait_for(lambda platform=platform: preloaded(platform), "the preloaded parent")  # type: ignore[misc]
            seconds += page_seconds(platform, pager, options.before).values()
    figures = [
        Figure(name="every request fails: page after", unit="s", values=tuple(seconds), target="most <= 120"),
    ]
    setting = {"rounds": options.rounds, "before": options.before, "models": len(_REQUESTS), "requests_per_second": 2}
    publish("telemetry.page", figures, setting)


if __name__ == "__main__":
    main()
