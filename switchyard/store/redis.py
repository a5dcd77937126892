"""A store in Redis, for several replicas on several machines."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from switchyard.store.contract import StoreError

_CONNECTIONS = 16  # per process; further callers wait for one


T = TypeVar("T")


class RedisClient:
    """``url`` is ``redis://…``, ``rediss://…`` or ``unix://…``; after ``seconds`` without a response a call fails."""

    def __init__(self, url: str, *, seconds: float = 1.0) -> None:
        self._redis = connect(url, seconds)
        self._closed = False

    async def aclose(self) -> None:
        self._closed = True
        await self._redis.aclose()

    async def _do(self, run: Callable[[], Awaitable[T]]) -> T:
        if self._closed:
            raise StoreError("the store is closed")
        try:
            return await run()
        except (RedisError, OSError) as err:
            raise StoreError(f"Redis does not respond: {err}") from err


class RedisStore(RedisClient):
    """Values with a time to live.

    Keys are written as ``switchyard:{<part before the last colon>}:<rest>``: a Redis cluster hashes only the part in
    braces (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags).
    """

    async def get(self, key: str) -> bytes | None:
        value = await self._do(lambda: self._redis.get(tagged(key)))
        assert not isinstance(value, str)  # nothing is decoded here
        return value

    async def put(self, key: str, value: bytes, *, ttl: float) -> None:
        if ttl <= 0:
            raise ValueError(f"a time to live of {ttl:g} s is none; give a positive number of seconds")
        # In milliseconds, and at least one: Redis takes 0 for an error.
        await self._do(lambda: self._redis.set(tagged(key), value, px=max(1, round(ttl * 1000))))


def connect(url: str, seconds: float) -> Redis:
    """Return a client of the Redis at ``url``; each command may take ``seconds``."""
    retry = Retry(NoBackoff(), 1)  # a pooled connection may have been closed in the meantime
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=_CONNECTIONS,
        timeout=seconds,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=retry,
    )
    return Redis.from_pool(pool)


def tagged(key: str) -> str:
    """Return the key as stored in Redis."""
    owner, colon, rest = tag(key).rpartition(":")
    return f"switchyard:{{{owner}}}:{rest}" if colon else f"switchyard:{{{rest}}}"


def tag(text: str) -> str:
    """Return text that can be a hash tag: a brace within it would end it early, so braces are escaped."""
    return text.replace("%", "%25").replace("{", "%7B").replace("}", "%7D")
