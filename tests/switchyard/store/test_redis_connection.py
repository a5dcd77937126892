import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from switchyard.store.contract import StoreError
from switchyard.store.redis_connection import RedisConnection, ReplyError
from tests.switchyard.http.certificates import Authority
from tests.switchyard.store.conftest import DEADLINE, RedisServer


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    """Another client, to look and to set up."""
    client = Redis.from_url(redis_server.url)
    yield client
    await client.aclose()


@pytest.fixture
async def connection(redis_server: RedisServer) -> AsyncIterator[RedisConnection]:
    opened = RedisConnection(redis_server.url, 10)
    yield opened
    await opened.aclose()


async def test_responses_of_each_kind_are_read_however_long(connection: RedisConnection) -> None:
    value = bytes(range(256)) * 4096 + b"\r\n$-1\r\n"
    assert await connection.run("SET", "key", value) == b"OK"
    assert await connection.run("GET", "key") == value
    assert await connection.run("GET", "none") is None
    assert await connection.run("SET", "empty", b"") == b"OK"
    assert await connection.run("GET", "empty") == b""
    assert await connection.run("STRLEN", "key") == b"%d" % len(value)
    with pytest.raises(ReplyError, match="NOSCRIPT"):
        await connection.run("EVALSHA", "0" * 40, 0)


async def test_many_at_once_share_one_connection_and_get_their_own_responses(
    connection: RedisConnection, redis: Redis
) -> None:
    async with asyncio.timeout(DEADLINE):
        echoed = await asyncio.gather(*(connection.run("ECHO", number) for number in range(500)))
    assert echoed == [b"%d" % number for number in range(500)]
    assert (await redis.info("clients"))["connected_clients"] == 2


async def test_a_caller_that_gives_up_leaves_others_their_responses(connection: RedisConnection) -> None:
    await connection.run("PING")
    calls = [asyncio.create_task(connection.run("ECHO", number)) for number in range(3)]
    await asyncio.sleep(0)
    calls[1].cancel()
    async with asyncio.timeout(DEADLINE):
        assert [await calls[0], await calls[2]] == [b"0", b"2"]


async def test_a_server_that_is_silent_is_an_error_and_works_when_it_speaks_again(redis_server: RedisServer) -> None:
    connection = RedisConnection(redis_server.url, 1.5)
    await connection.run("SET", "key", "value")
    redis_server.process.send_signal(signal.SIGSTOP)
    try:
        async with asyncio.timeout(DEADLINE):
            calls = await asyncio.gather(*(connection.run("GET", "key") for _ in range(3)), return_exceptions=True)
        assert [str(call) for call in calls] == ["Redis does not respond: no response within 1.5 s"] * 3
        with pytest.raises(StoreError, match=r"no response within 1\.5 s"):  # of a new connection
            await connection.run("GET", "key")
    finally:
        redis_server.process.send_signal(signal.SIGCONT)
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                assert await connection.run("GET", "key") == b"value"
                break
            except StoreError:  # a busy machine
                await asyncio.sleep(0.01)
    await connection.aclose()


async def test_a_lost_connection_is_replaced_without_an_error(connection: RedisConnection, redis: Redis) -> None:
    assert await connection.run("PING") == b"PONG"
    for _ in range(3):
        await redis.client_kill_filter(_type="normal", skipme=True)
        assert await connection.run("PING") == b"PONG"


async def test_the_password_and_the_database_of_the_url_are_used(redis_server: RedisServer, redis: Redis) -> None:
    await redis.config_set("requirepass", "s3cret")
    connection = RedisConnection(f"unix://:s3cret@{redis_server.socket}?db=3", 5)
    await connection.run("SET", "key", "value")
    await connection.aclose()
    assert [await redis.select(3), await redis.get("key")] == [True, b"value"]

    wrong = RedisConnection(f"unix://:guess@{redis_server.socket}", 5)
    with pytest.raises(StoreError, match="Redis does not respond: WRONGPASS"):
        await wrong.run("GET", "key")
    await wrong.aclose()


async def test_a_server_with_tls_is_checked(redis: Redis, tmp_path: Path) -> None:
    authority = Authority("ours", tmp_path)
    issued = authority.issue("redis")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"cert-file": issued.certificate, "key-file": issued.key, "ca-cert-file": authority.path}
    pairs = [str(part) for name, value in settings.items() for part in (f"tls-{name}", value)]
    await redis.config_set("tls-auth-clients", "no")
    await redis.config_set("tls-port", port, *pairs)

    connection = RedisConnection(f"rediss://127.0.0.1:{port}?ssl_ca_certs={authority.path}", 5)
    assert await connection.run("PING") == b"PONG"
    await connection.aclose()

    stranger = RedisConnection(f"rediss://127.0.0.1:{port}?ssl_ca_certs={Authority('next', tmp_path).path}", 5)
    with pytest.raises(StoreError, match="CERTIFICATE_VERIFY_FAILED"):
        await stranger.run("PING")
    await stranger.aclose()


async def test_a_closed_connection_says_so_and_may_be_closed_again(connection: RedisConnection) -> None:
    await connection.run("PING")
    await connection.aclose()
    await connection.aclose()
    with pytest.raises(StoreError, match="closed"):
        await connection.run("PING")
