"""A filter by which a process gives up calls of the kernel, for good and for all that it starts (seccomp(2)).

It takes no privileges, so that it works in containers whose runtime forbids namespaces.
"""

import ctypes
import errno
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _MODE_FILTER = 22, 38, 2  # prctl(2)
# linux/bpf_common.h and linux/seccomp.h: load a word, jump if equal or greater, return; what is returned.
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000 | errno.EPERM
_NUMBER, _ARCHITECTURE = 0, 4  # offsets in struct seccomp_data
_X32 = 0x40000000  # x86-64's second set of numbers; no call of 64-bit ARM has one as high

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class _Machine:
    """``audit`` is what the kernel calls the architecture (linux/audit.h), ``calls`` are numbers (asm/unistd.h)."""

    audit: int
    calls: Mapping[str, int]


_MACHINES = {
    "x86_64": _Machine(0xC000003E, {"socket": 41, "unshare": 272, "io_uring_setup": 425}),
    "aarch64": _Machine(0xC00000B7, {"socket": 198, "unshare": 97, "io_uring_setup": 425}),
}


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("yes", ctypes.c_ubyte), ("no", ctypes.c_ubyte), ("value", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.POINTER(_Instruction)))


def forbid(names: Sequence[str]) -> bool:
    """Make the calls ``names`` fail with EPERM in this thread and in what it starts; return whether that could be done.

    Calls of another architecture, which a 64-bit process may make too, fail altogether.
    """
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        return False
    tests = [(_IF_AT_LEAST, _X32), *((_IF_EQUAL, machine.calls[name]) for name in names)]
    failing = len(tests)  # the last instruction but one allows, the last one fails
    lines = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_IF_EQUAL, 0, failing + 2, machine.audit),
        (_LOAD, 0, 0, _NUMBER),
        *((code, failing - position, 0, value) for position, (code, value) in enumerate(tests)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _FAIL),
    ]
    instructions = (_Instruction * len(lines))(*(_Instruction(*line) for line in lines))
    program = _Program(len(lines), instructions)
    if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return False
    return bool(_libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program)) == 0)
