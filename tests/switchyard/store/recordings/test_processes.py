"""Recordings of many processes at once, some of which are killed or stopped in the middle."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from switchyard.store.contract import StoreError
from switchyard.store.factory import open_recordings
from switchyard.store.recordings.contract import Recordings

NAMES, SEGMENTS = [f"key:{number}" for number in range(80)], 5
SURVIVORS, VICTIMS = 2, 2
LEASE = 1.0
QUICK, SLOW = "0.005", "0.3"  # seconds between two segments: a slow one is in the middle when it is killed
DEADLINE = 120.0

WORKER = f"""
import asyncio, itertools, json, os, random, sys
from switchyard.store.contract import StoreError
from switchyard.store.factory import open_recordings
from switchyard.store.recordings.contract import Bounds, SupersededError

numbers = itertools.count()

async def surely(operation):  # a busy machine may make a store late; to repeat an operation is safe
    while True:
        try:
            return await operation()
        except StoreError:
            await asyncio.sleep(0.01)

def say(*event):
    print(json.dumps(event), flush=True)

async def write(store, name, own):
    for number in range({SEGMENTS}):
        segment = f"{{own}} {{number}}".encode()
        await surely(lambda: store.append("tenant", own, number, segment, lease={LEASE}))
        await asyncio.sleep(float(sys.argv[2]))
    await surely(
        lambda: store.finish("tenant", own, {SEGMENTS}, b"", complete=True, ttl=600, bounds=Bounds())
    )

async def have(store, name):
    while True:
        own = f"{{os.getpid()}}-{{next(numbers)}}"
        page = await surely(lambda: store.claim("tenant", name, own, b"", lease={LEASE}, ttl=600))
        if page is None:
            say("begun", name, own)
            try:
                await write(store, name, own)
                return say("complete", name, own)
            except SupersededError:
                say("superseded", name, own)
        elif page.recording.state == "complete":
            return
        await asyncio.sleep(0.02)

async def main():
    store = open_recordings(sys.argv[1])
    left = iter(random.sample(sys.argv[3:], len(sys.argv) - 3))
    async def task():
        for name in left:
            await have(store, name)
    await asyncio.gather(*(task() for _ in range(4)))
    await store.aclose()

asyncio.run(main())
"""


@contextmanager
def workers(url: str, count: int, pause: str, *names: str) -> Iterator[list[subprocess.Popen[str]]]:
    command = [sys.executable, "-c", WORKER, url, pause, *names]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def events(output: str) -> list[list[str]]:
    return [json.loads(line) for line in output.splitlines()]


def kill(victim: subprocess.Popen[str]) -> str:
    """Kill a process, and return what it has said since it was listened to."""
    victim.send_signal(signal.SIGKILL)
    assert victim.stdout is not None
    return victim.stdout.read()


def said_with_kills(url: str) -> tuple[list[list[str]], set[str]]:
    """Let processes record all names and kill slow ones in the middle; return what all said, and who these were."""
    with workers(url, VICTIMS, SLOW, *NAMES) as victims:
        said = [
            victim.stdout.readline() for count, victim in enumerate(victims, 1) for _ in range(count) if victim.stdout
        ]
        with workers(url, SURVIVORS, QUICK, *NAMES) as survivors:
            said += map(kill, victims)
            said += [survivor.communicate(timeout=DEADLINE)[0] for survivor in survivors]
            assert [survivor.returncode for survivor in survivors] == [0] * SURVIVORS
        return events("".join(said)), {str(victim.pid) for victim in victims}


async def state_of(recordings: Recordings, name: str) -> str:
    page = await recordings.find("tenant", name)
    return page.recording.state if page else ""


async def test_what_a_killed_process_had_begun_is_taken_over_once(url: str) -> None:
    said, killed = said_with_kills(url)
    by_event: dict[str, defaultdict[str, set[str]]] = {
        event: defaultdict(set) for event in ("begun", "complete", "superseded")
    }
    for event, name, recording in said:
        by_event[event][name].add(recording)
    recordings = open_recordings(url)
    taken_over = 0
    for name in NAMES:
        page = await recordings.find("tenant", name)
        assert page is not None
        kept = page.recording.id
        assert (page.recording.state, page.recording.segments) == ("complete", SEGMENTS)
        assert list(page.segments) == [f"{kept} {number}".encode() for number in range(SEGMENTS)]
        assert by_event["complete"][name] <= {kept}
        # Whoever else has begun was killed, or told that another one has taken over.
        others = by_event["begun"][name] - {kept} - by_event["superseded"][name]
        assert {recording.partition("-")[0] for recording in others} <= killed
        taken_over += len(others)
    assert taken_over
    await recordings.aclose()


async def stop(process: subprocess.Popen[str], recordings: Recordings) -> None:
    """Stop a process between two of its operations: within one, SQLite lets nobody else write."""
    while True:
        process.send_signal(signal.SIGSTOP)
        try:
            await recordings.forget("tenant", "key:none")
        except StoreError:
            process.send_signal(signal.SIGCONT)
            await asyncio.sleep(0.05)
        else:
            return


async def test_a_process_that_was_stopped_is_told_that_another_has_taken_over(url: str) -> None:
    recordings = open_recordings(url)
    with workers(url, 1, SLOW, "key:one") as [worker]:
        assert worker.stdout is not None
        begun = json.loads(await asyncio.to_thread(worker.stdout.readline))
        await stop(worker, recordings)
        end = time.monotonic() + DEADLINE
        while await state_of(recordings, "key:one") != "lost":
            assert time.monotonic() < end
            await asyncio.sleep(0.05)
        assert await recordings.claim("tenant", "key:one", "ours", b"", lease=600, ttl=600) is None
        worker.send_signal(signal.SIGCONT)
        assert json.loads(await asyncio.to_thread(worker.stdout.readline)) == ["superseded", "key:one", begun[2]]

    page = await recordings.find("tenant", "key:one")
    assert page is not None
    assert (page.recording.id, page.recording.state, list(page.segments)) == ("ours", "running", [])
    await recordings.aclose()
