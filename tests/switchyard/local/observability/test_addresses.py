"""The ports of what observes a run."""

import socket
from dataclasses import asdict

from switchyard.local.observability.addresses import Addresses


def test_every_port_is_free_and_another() -> None:
    ports = list(asdict(Addresses.draw()).values())
    assert len({*ports}) == len(ports)
    for port in ports:
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))


def test_a_usual_port_that_is_taken_gives_way_to_a_free_one() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        taken = listener.getsockname()[1]
        assert taken not in asdict(Addresses.draw()).values()
    other = Addresses(prometheus=taken)
    assert other.pages()["prometheus"] == f"http://127.0.0.1:{taken}"
    assert other.address("prometheus") == f"127.0.0.1:{taken}"
