"""Our router's own ``main``, in a process forked from one that has imported it: a graph costs no start of Python.

Each line of standard input is a process to start, {"argv": […], "env": {…}}, whose pid is the answer, or a pid that is
to end. All end with standard input.
"""

import json
import os
import signal
import sys


def main() -> None:
    from switchyard.router.__main__ import main as router

    running: set[int] = set()
    for line in sys.stdin:
        asked = json.loads(line)
        if isinstance(asked, int):
            _end(asked)
            running.discard(asked)
            print("ended", flush=True)
            continue
        pid = os.fork()
        if not pid:
            sys.argv = ["router", *asked["argv"]]
            os.environ.update(asked["env"])
            sys.stdin.close()
            sys.exit(router())
        running.add(pid)
        print(pid, flush=True)
    for pid in running:
        _end(pid)


def _end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
