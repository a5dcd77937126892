"""Clients that ask one after the other, all the time, and what each was answered."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx

from tests.cluster.client import READY_SECONDS
from tests.live.load import Load
from tools.cluster.machine.shell import eventually

Ask = Callable[[httpx.Client], str]

_ANSWER_SECONDS = 60
# A connection that ends before an answer's first byte: what was asked may be asked again (RFC 9110, section 9.2.2).
RETRYABLE = ("RemoteProtocolError('Server disconnected without sending a response.')", "ReadError(", "ConnectError(")


@contextmanager
def load(url: str, ask: Ask, clients: int, *, keep: bool = True, pause: float = 0.0) -> Iterator[Counter[str]]:
    """Ask ``url`` until the block is left; counts by outcome, which is what ``ask`` says or the error it raised.

    Each client has one connection, which it keeps, or a new one for each request; ``pause`` is in seconds and between
    two requests of a client.
    """
    seen: Counter[str] = Counter()
    done = threading.Event()
    limits = httpx.Limits(max_keepalive_connections=1 if keep else 0)

    def go() -> None:
        with httpx.Client(base_url=url, timeout=_ANSWER_SECONDS, trust_env=False, limits=limits) as client:
            while not done.is_set():
                seen[outcome(ask, client)] += 1
                done.wait(pause)

    threads = [threading.Thread(target=go) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        done.set()
        for thread in threads:
            thread.join()


def outcome(ask: Ask, client: httpx.Client) -> str:
    """What ``ask`` says, or the error of a request that got no answer."""
    try:
        return ask(client)
    except httpx.HTTPError as error:
        return repr(error)


def status_of(path: str, **headers: str) -> Ask:
    """Ask for ``path``; the outcome is the status, ``200`` for what is well."""
    return lambda client: str(client.get(path, headers=headers).status_code)


def lost(seen: Counter[str]) -> Counter[str]:
    """What was not answered, all of which must be clear to have reached nobody."""
    errors = Counter({what: count for what, count in seen.items() if what != "200"})
    assert all(what.startswith(RETRYABLE) for what in errors), errors
    return errors


def more_answers(asking: Load, count: int = 8) -> None:
    """Wait until so many more requests were answered."""
    before = asking.seen.answered

    def answered() -> bool:
        assert asking.seen.wrong == []  # who was answered so does not go on asking
        return asking.seen.answered >= before + count

    eventually(f"{count} more answers", answered, READY_SECONDS, every=0.3)
