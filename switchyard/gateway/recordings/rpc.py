"""The response of a gRPC call with one message, recorded as it is forwarded to the client that asked first."""

import time
from collections.abc import Callable

from switchyard.gateway.call import Call
from switchyard.gateway.edges.rpc import RpcEdge
from switchyard.gateway.pipeline import Proceed
from switchyard.gateway.recordings.format import End, Head, encode_chunk, encode_end, encode_head
from switchyard.gateway.recordings.writer import RECORDING_BYTES, SegmentWriter
from switchyard.http.h2.grpc_call import PREFIX

RECORDED = "ModelInfer"


class RpcRecording:
    """What a call's target responds; one that is longer than a recording, or compressed, is not kept.

    ``end`` is called with whether the recording is complete.
    """

    def __init__(self, writer: SegmentWriter, end: Callable[[bool], None]) -> None:
        self._writer = writer
        self._end = end
        self._received = bytearray()

    async def run(self, call: Call, proceed: Proceed) -> None:
        """Let the call be forwarded, and end its recording, also when its client has left meanwhile."""
        edge = call.edge
        assert isinstance(edge, RpcEdge)
        edge.record(self._add)
        try:
            await proceed(call)
        finally:
            self._end(edge.code == "OK" and self._record(call))

    def _add(self, chunk: bytes) -> None:
        if len(self._received) <= RECORDING_BYTES:
            self._received += chunk

    def _record(self, call: Call) -> bool:
        """Write the response; return whether it is whole."""
        received = bytes(self._received)
        if len(received) < PREFIX or received[0] or len(received) != PREFIX + int.from_bytes(received[1:PREFIX], "big"):
            return False
        head = Head(
            status=200,
            headers=(),
            route=call.route.path,
            model=call.model_name,
            shape=call.route.shape,
            request_id=call.request_id.decode(),
            began=time.time(),
            events=False,
            whole=True,
        )
        self._writer.add(encode_head(head) + encode_chunk(0, received[PREFIX:]) + encode_end(0, End(usage=call.usage)))
        return True
