"""gRPC channels, one per target."""

from typing import Any

import grpc
import grpc.aio


class Channels:
    """One channel per target, opened at first use; ``message_bytes`` bounds a message either way."""

    def __init__(self, message_bytes: int = 64 * 1024 * 1024, targets: int = 512) -> None:
        self._options = [
            ("grpc.max_receive_message_length", message_bytes),
            ("grpc.max_send_message_length", message_bytes),
            ("grpc.enable_http_proxy", 0),
        ]
        self._targets = targets
        self._channels: dict[str, Any] = {}

    async def get(self, target: str) -> Any:
        channel = self._channels.get(target)
        if channel is None:
            while len(self._channels) >= self._targets:  # a target that is gone must not stay for ever
                await self._channels.pop(next(iter(self._channels))).close(None)
            channel = self._channels[target] = grpc.aio.insecure_channel(target, options=self._options)
        return channel

    async def aclose(self) -> None:
        while self._channels:
            await self._channels.popitem()[1].close(None)
