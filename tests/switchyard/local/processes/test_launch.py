"""Processes started by the real launcher."""

import os
import sys
from pathlib import Path

from switchyard.local.processes import identities
from switchyard.local.processes.launch import LaunchSpec, SpawnLauncher

LEADER = """
import os, time
for _ in range(20):
    if os.fork() == 0:
        memory = bytearray(30_000_000)  # the kernel takes a moment to free it
        os.write(1, b"%d\\n" % os.getpid())
        time.sleep(600)
while len(open("log").readlines()) < 20:
    time.sleep(0.01)
"""


async def test_every_process_of_the_group_has_ended_when_the_wait_for_its_leader_ends(tmp_path: Path) -> None:
    log = tmp_path / "log"
    argv = (sys.executable, "-c", LEADER)
    process = await SpawnLauncher().launch(
        LaunchSpec(name="leader", argv=argv, env=dict(os.environ), cwd=tmp_path, log=log)
    )
    assert await process.wait() == 0
    members = [int(line) for line in log.read_text().splitlines()]
    assert len(members) == 20
    assert [member for member in members if identities.identify(member)] == []
