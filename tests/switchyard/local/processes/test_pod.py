"""How the containers of a pod end, with processes of their own."""

import asyncio
import sys

from switchyard.local.processes.pod import Pod

IGNORES = "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); sys.stdin.read()"


async def started(code: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdin=pipe, stdout=pipe)
    assert process.stdout is not None
    await process.stdout.readline()
    return process


async def test_a_stopped_pod_does_not_wait_for_what_still_runs_beside_its_public_container() -> None:
    public, beside = await started("print(flush=True); input()"), await started(IGNORES)
    pod = Pod(public, [beside], sidecar_seconds=0.1)
    try:
        pod.terminate()
        assert await asyncio.wait_for(pod.wait(), 30) == -15
        assert beside.returncode == -9
    finally:
        for process in (public, beside):
            if process.returncode is None:
                process.kill()
