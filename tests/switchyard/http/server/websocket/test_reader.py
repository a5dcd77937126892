"""The reader of frames, fed what wsproto's own client writes, in random splits, and what nobody would write."""

from collections.abc import Iterator
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Event, Ping, TextMessage

from switchyard.http.h2.budget import FrameBudget
from switchyard.http.server import ServerLimits
from switchyard.http.server.websocket import codes
from switchyard.http.server.websocket.reader import MessageReader, WebSocketError

LIMITS = ServerLimits(message_bytes=2000)
TEXTS = st.text(max_size=400)
PARTS = st.lists(TEXTS, min_size=1, max_size=4)


class Read:
    """A reader with what it gave to ``on_control``."""

    def __init__(self, limits: ServerLimits = LIMITS) -> None:
        self.control: list[Event] = []
        self.protocol = Connection(ConnectionType.SERVER)
        self.reader = MessageReader(
            self.protocol, limits, FrameBudget(limits.control_frames), lambda: 1.0, self.control.append
        )
        self.messages: list[str] = []

    def feed(self, data: bytes) -> None:
        self.reader.feed(data)
        while self.reader.messages:
            self.messages.append(self.reader.take().decode())
            self.reader.feed(b"")
        assert self.reader.held <= LIMITS.message_bytes + len(data)

    def feed_all(self, chunks: Iterator[bytes]) -> int:
        """The code with which the socket would be closed, 0 if all was read."""
        try:
            for chunk in chunks:
                self.feed(chunk)
        except WebSocketError as err:
            return int(err.code)
        return 0


def split(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return (data[start:end] for start, end in pairwise(places))


@given(st.lists(st.one_of(PARTS, st.binary(max_size=125)), max_size=8), st.lists(st.integers(0, 2**16), max_size=40))
async def test_every_message_of_the_other_side_is_read_in_any_split(
    said: list[list[str] | bytes], cuts: list[int]
) -> None:
    client, data, read = Connection(ConnectionType.CLIENT), b"", Read()
    for one in said:
        if isinstance(one, bytes):
            data += client.send(Ping(payload=one))
            continue
        for index, part in enumerate(one):
            data += client.send(TextMessage(data=part, message_finished=index == len(one) - 1))
    data += client.send(CloseConnection(code=1000))
    wanted = ["".join(one) for one in said if isinstance(one, list)]
    code = read.feed_all(split(data, cuts))
    if code:
        assert code == codes.MESSAGE_TOO_BIG
        first = next(at for at, text in enumerate(wanted) if len(text.encode()) > LIMITS.message_bytes)
        assert read.messages == wanted[:first]
        return
    assert read.messages == wanted
    pings = [bytes(event.payload) for event in read.control if isinstance(event, Ping)]
    assert pings == [one for one in said if isinstance(one, bytes)]
    assert isinstance(read.control[-1], CloseConnection)
    assert read.reader.held == 0


@given(st.binary(max_size=600), st.lists(st.integers(0, 2**16), max_size=20))
async def test_whatever_comes_is_read_or_closed_with_a_code_of_ours_in_any_split(data: bytes, cuts: list[int]) -> None:
    def outcome(chunks: Iterator[bytes]) -> tuple[list[str], int]:
        read = Read()
        code = read.feed_all(chunks)
        assert code in (0, *codes.SENT)
        return read.messages, code

    # A cut changes nothing but where within a frame an error is seen: text may be found wrong before its frame is.
    whole, in_parts = outcome(iter([data])), outcome(split(data, cuts))
    assert whole[0] == in_parts[0]
    assert bool(whole[1]) == bool(in_parts[1])
