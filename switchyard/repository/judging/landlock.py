"""Keeps this process from files: Linux's Landlock, by its system calls, for whom no library of Python has a wrapper.

https://docs.kernel.org/userspace-api/landlock.html, where the numbers and the versions of each right are.
"""

import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # the same on every architecture
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_RIGHTS_OF_FILES = {1: 13, 2: 14, 3: 15, 4: 15}  # how many rights are known to a version of the interface; then 16
_ALL_OF_TCP, _ALL_SCOPES = 0b11, 0b11  # bind and connect; abstract sockets and signals
_NET_SINCE, _SCOPES_SINCE = 4, 6
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def version() -> int:
    """Return the version of Landlock's interface, less than 1 where the kernel does not have or allow it."""
    return int(_libc.syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1)))


def only_read(paths: Iterable[Path]) -> None:
    """Allow this process to read what is below ``paths``, for good, and no other file, no program, no TCP, no signals.

    The process must have given up new privileges. Older kernels know only of files and programs.

    Raises:
        OSError: the kernel does not allow it.
    """
    known = version()
    files = (1 << _RIGHTS_OF_FILES.get(known, 16)) - 1
    net = _ALL_OF_TCP if known >= _NET_SINCE else 0
    scopes = _ALL_SCOPES if known >= _SCOPES_SINCE else 0
    attributes = struct.pack("QQQ", files, net, scopes)
    rules = _call(_CREATE, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    try:
        for path in paths:
            _allow(rules, path)
        _call(_RESTRICT, ctypes.c_int(rules), ctypes.c_uint32(0))
    finally:
        os.close(rules)


def _allow(rules: int, path: Path) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there needs no rule
    try:
        rights = _READ_FILE | (_READ_DIR if path.is_dir() else 0)
        beneath = struct.pack("=Qi", rights, handle)
        _call(_ADD, ctypes.c_int(rules), ctypes.c_int(1), beneath, ctypes.c_uint32(0))
    finally:
        os.close(handle)


def _call(number: int, *arguments: object) -> int:
    result = int(_libc.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
