"""The process that judges has no network, also where a container's runtime forbids namespaces."""

import json
import subprocess
import sys

import pytest

ATTEMPTS = """
import json, os, socket, sys
from switchyard.repository.judging.confinement import leave_network
from switchyard.repository.judging.system_calls import forbid

def sockets():
    found = {}
    for name, family, kind in (("tcp", socket.AF_INET, socket.SOCK_STREAM), ("udp", socket.AF_INET6, socket.SOCK_DGRAM),
                               ("file", socket.AF_UNIX, socket.SOCK_STREAM)):
        try:
            socket.socket(family, kind).close()
            found[name] = "opens"
        except OSError as err:
            found[name] = type(err).__name__
    return found

before = sockets()
refused = forbid(("unshare",)) if sys.argv[1] == "in a container" else True
gone = leave_network()
reader, writer = os.pipe()
if os.fork() == 0:
    os.write(writer, json.dumps(sockets()).encode())
    os._exit(0)
child = json.loads(os.read(reader, 4096))
left, right = socket.socketpair()
print(json.dumps([refused, gone, before, sockets(), child]))
"""


@pytest.mark.parametrize("place", ["on a machine", "in a container"])
def test_a_judging_process_and_what_it_starts_open_no_socket(place: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ATTEMPTS, place], capture_output=True, text=True, timeout=60, check=True
    )
    refused, gone, before, after, child = json.loads(done.stdout)

    assert (refused, gone) == (True, True)
    assert set(before.values()) == {"opens"}
    assert after == child == dict.fromkeys(("tcp", "udp", "file"), "PermissionError")
