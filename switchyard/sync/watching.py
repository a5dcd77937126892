"""Notices that something in a folder changed: by the kernel's events, and by looking again where there are none."""

import asyncio
import logging
import os
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import suppress
from pathlib import Path
from typing import get_args

import psutil
import watchfiles

from switchyard.repository.verdict import Group

EVENT_MILLISECONDS = 100  # events of one moment come together
POLL_SECONDS = 2.0  # where there are no events
ARMED_MILLISECONDS = 1000  # without an event, after which the kernel is known to watch
SWEEP_SECONDS = 30.0  # where there are, since a queue of the kernel can overflow

# Another machine's changes make no events here.
_REMOTE = ("nfs", "cifs", "smb", "9p", "ceph", "gluster", "lustre", "fuse", "virtiofs", "afs", "gpfs", "beegfs")

logger = logging.getLogger(__name__)
logging.getLogger("watchfiles").setLevel(logging.WARNING)  # at info it says of each batch how many changes it has


async def changes(paths: Iterable[Path]) -> AsyncGenerator[set[Path] | None, None]:
    """Yield the paths that changed, or None where everything is to be looked at again."""
    queue: asyncio.Queue[set[Path] | None] = asyncio.Queue(maxsize=16)
    events = asyncio.create_task(_events([str(path) for path in paths], queue))
    seconds = POLL_SECONDS if any(map(is_remote, paths)) else SWEEP_SECONDS
    swept = time.monotonic()
    try:
        while True:
            # Also while events come without an end: not all that changes makes one.
            left = swept + (POLL_SECONDS if events.done() else seconds) - time.monotonic()
            found = None
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    found = await queue.get() if left > 0 else None
            if found is None:
                swept = time.monotonic()
            yield found
    finally:
        events.cancel()
        with suppress(asyncio.CancelledError):
            await events


async def _events(paths: list[str], queue: asyncio.Queue[set[Path] | None]) -> None:
    """Put changed paths into the queue; end where the kernel gives no events."""
    told = lost = False
    while True:
        try:
            # Without ignore_permission_denied, which ignores the limit on watches as well. It yields nothing, too, so
            # that it is known when the kernel watches again: what was changed before made no event.
            async for found in watchfiles.awatch(
                *paths,
                watch_filter=None,
                debounce=EVENT_MILLISECONDS,
                step=20,
                rust_timeout=ARMED_MILLISECONDS,
                yield_on_timeout=True,
            ):
                if found or lost:
                    await queue.put(None if lost else {Path(path) for _, path in found})
                lost = False
        except (OSError, RuntimeError) as err:  # mostly the limit on inotify watches (fs.inotify.max_user_watches)
            logger.warning("no events of changed files, so folders are looked at every %s s: %s", POLL_SECONDS, err)
            await queue.put(None)
            return
        except ExceptionGroup as err:  # a file whose name is not UTF-8, which watchfiles cannot tell
            if not told:
                logger.warning("events are lost now and then, so all folders are looked at: %s", err.exceptions[0])
            told = lost = True
            await queue.put(None)
            await _come_and_go(paths, queue)


async def _come_and_go(paths: list[str], queue: asyncio.Queue[set[Path] | None]) -> None:
    """Put models that come and go into the queue for ``POLL_SECONDS``: no folder of one is watched for that."""
    with suppress(TimeoutError):
        async with asyncio.timeout(POLL_SECONDS):
            with suppress(OSError, RuntimeError, ExceptionGroup):
                async for found in watchfiles.awatch(
                    *paths,
                    *_groups(paths),
                    watch_filter=None,
                    debounce=EVENT_MILLISECONDS,
                    step=20,
                    rust_timeout=ARMED_MILLISECONDS,
                    recursive=False,
                ):
                    await queue.put({Path(path) for _, path in found})
            await asyncio.sleep(POLL_SECONDS)


def _groups(paths: list[str]) -> list[str]:
    return [path for root in paths for group in get_args(Group) if os.path.isdir(path := os.path.join(root, group))]


def is_remote(path: Path) -> bool:
    """Return whether others can change what is below ``path`` without an event."""
    path = path.resolve()
    mounts = [mount for mount in psutil.disk_partitions(all=True) if path.is_relative_to(mount.mountpoint)]
    if not mounts:
        return False
    nearest = max(mounts, key=lambda mount: len(mount.mountpoint))
    return str(nearest.fstype).startswith(_REMOTE)
