"""While a model is loaded, the threads of its process ask for long time slices: those that serve preempt them at once.

Loading is the longest stretch of work that a machine does beside its requests. Linux runs next who asked for a shorter
slice, and since 6.12 any thread may ask for 0.1 to 100 ms, without a privilege; unlike a nice value, it may go back.
Where the kernel does not know this, nothing changes. See sched_setattr(2) and Documentation/scheduler/sched-eevdf.rst.
"""

import ctypes
import os
import platform
import struct

LONGEST = 100_000_000  # ns
USUAL = 0  # the scheduler's own

_SYSCALLS = {"x86_64": 314, "aarch64": 274}  # sched_setattr, for which glibc has no function before 2.41
_ATTRIBUTES = "=IIQiIQQQ"  # struct sched_attr: size, policy, flags, nice, priority, runtime, deadline, period
_FAIR = (os.SCHED_OTHER, os.SCHED_BATCH)


def ask_for(nanoseconds: int) -> None:
    """Ask for time slices of this length for every thread of this process, and for those that they start."""
    number = _SYSCALLS.get(platform.machine())
    if number is None:
        return
    libc = ctypes.CDLL(None)
    for thread in map(int, os.listdir("/proc/self/task")):
        try:
            policy, nice = os.sched_getscheduler(thread), os.getpriority(os.PRIO_PROCESS, thread)
        except ProcessLookupError:  # it has just ended
            continue
        if policy in _FAIR:
            size = struct.calcsize(_ATTRIBUTES)
            attributes = struct.pack(_ATTRIBUTES, size, policy, 0, nice, 0, nanoseconds, 0, 0)
            libc.syscall(number, thread, attributes, 0)  # an error is no reason not to load the model
