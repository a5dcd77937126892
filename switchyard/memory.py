"""Memory settings of a serving process."""

import ctypes
import gc
from pathlib import Path

# mallopt(3)
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_KEPT_BYTES = 16 * 1024 * 1024
_STEP_BYTES = 1024 * 1024
_MAPPED_BYTES = 4 * 1024 * 1024
_MADV_PAGEOUT = 21  # madvise(2), Linux 5.4


def settle_for_serving() -> None:
    """Prepare for requests; call it once everything that lives as long as the process exists.

    Garbage collections during requests then skip these objects.
    """
    gc.collect()
    gc.freeze()
    settle_heap()


def settle_heap() -> None:
    """Let the heap keep what requests use, and large bodies leave nothing behind.

    Up to 16 MiB of freed memory stay at the heap's end for the next request, which grows in steps of 1 MiB: by default
    glibc returns 128 KiB at once, so that each body of about that size would fault every page in anew, 40 % of what a
    256 KB chat costs the gateway. Allocations of 4 MiB and more are still mapped one by one, also after such have been
    freed, which by default changes that: then a body that grows is not copied.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # only glibc has it
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_TOP_PAD, _STEP_BYTES)
        mallopt(_M_MMAP_THRESHOLD, _MAPPED_BYTES)


def return_pages(*files: str) -> None:
    """Give the pages of mapped files back whose path contains one of ``files``; whoever touches one reads it again.

    Only clean pages that no other process maps are given back, as the kernel would when it is short of memory.
    """
    libc = ctypes.CDLL(None)
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, *_, path = line.split(maxsplit=5)
        if path.startswith("/") and any(file in path for file in files):
            start, end = (int(address, 16) for address in addresses.split("-"))
            libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_PAGEOUT)


def give_back() -> None:
    """Return freed memory to the system, in 0.2 ms for each MB, in which other threads run.

    By itself glibc keeps all that lies below a block in use: after 250 MB of bodies that were given up, 250 MB.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
