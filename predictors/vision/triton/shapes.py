"""The shapes that tensors of a request may announce.

Triton multiplies dimensions without regard to overflow: a shape of 2**64 elements passes as an empty tensor, and ends
the process of a model in Python. Of JSON it reserves what the shape announces before it looks at the data. Both were
seen in 2.51.
"""

from collections.abc import Iterable

MAX_DIMENSIONS = 100
_FREE_ELEMENTS = 1 << 20  # of a tensor of any datatype, 8 MiB at most
_BEYOND = 1 << 63


def elements(dimensions: Iterable[int]) -> int:
    """Return the product of the dimensions but zeros: a model's numpy rejects [0, 2**62] too.

    Raises:
        ValueError: a dimension is negative, or the product is not less than 2**63.
    """
    count = 1
    for size in dimensions:
        if size < 0:
            raise ValueError(f"a shape has the dimension {size}; dimensions are not negative")
        count *= size or 1
        if count >= _BEYOND:
            raise ValueError("a shape announces 2**63 elements or more")
    return count


def check_elements(count: int, request_bytes: int) -> None:
    """Check the elements that a tensor of a request announces.

    Raises:
        ValueError: they cannot be in it: each takes a byte at least.
    """
    if count > max(_FREE_ELEMENTS, request_bytes):
        raise ValueError(f"a shape announces {count} elements, but the request has {request_bytes} bytes")
