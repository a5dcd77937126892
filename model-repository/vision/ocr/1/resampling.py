"""Bilinear resizing and bicubic perspective crops in numpy, by the integer arithmetic that OpenCV uses.

The models were trained on pictures that OpenCV resized, and values that are off by one change letters that are hard to
read. Fixed point: 11 bits for bilinear weights, 5 bits for the positions of a perspective crop. What remains differs
from OpenCV by at most one step of 255, in one value of two thousand.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Floats = np.ndarray[Any, np.dtype[np.float32]]
Ints = np.ndarray[Any, np.dtype[np.int32]]

_UNIT = 2048  # one, in 11 bits
_BLOCK = 32  # rows at a time, so that what is computed stays in the processor's cache
_CUBIC = -0.75


def resized(image: Pixels, height: int, width: int) -> Pixels:
    """``image`` [h, w, 3] at another size, bilinear without antialiasing, as ``cv2.INTER_LINEAR`` does."""
    if image.shape[:2] == (height, width):
        return image
    result = np.empty((height, width, 3), np.uint8)
    for start, rows in resized_rows(image, height, width):
        result[start : start + len(rows)] = rows
    return result


def resized_rows(image: Pixels, height: int, width: int) -> Iterator[tuple[int, Pixels]]:
    """The rows of the resized image in blocks, each with the number of its first row."""
    left, right, right_weight = _axis(width, image.shape[1])
    above, below, below_weight = _axis(height, image.shape[0])
    left, right = _channels(left), _channels(right)
    weights = np.repeat(right_weight, 3)
    flat = image.reshape(image.shape[0], -1)
    for start in range(0, height, _BLOCK):
        stop = min(start + _BLOCK, height)
        first, last = int(above[start]), int(below[stop - 1])
        wide = _widened(flat[first : last + 1], left, right, weights)
        share = below_weight[start:stop, None]
        upper = ((_UNIT - share) * wide[above[start:stop] - first]) >> 16
        lower = (share * wide[below[start:stop] - first]) >> 16
        yield start, ((upper + lower + 2) >> 2).astype(np.uint8).reshape(stop - start, width, 3)


def _widened(rows: Pixels, left: Ints, right: Ints, weights: Ints) -> Ints:
    result = (_UNIT - weights) * rows.take(left, axis=1)
    result += weights * rows.take(right, axis=1)
    result >>= 4
    return result


def _axis(count: int, source: int) -> tuple[Ints, Ints, Ints]:
    """For every output position the two source positions that it lies between, and the weight of the second."""
    position = ((np.arange(count) + 0.5) * (source / count) - 0.5).astype(np.float32)
    low = np.floor(position)
    weight = np.where((low < 0) | (low >= source - 1), 0, np.rint((position - low) * _UNIT)).astype(np.int32)
    low = low.clip(0, source - 1).astype(np.int32)
    return low, np.minimum(low + 1, source - 1), weight


def _channels(columns: Ints) -> Ints:
    return (columns[:, None] * 3 + np.arange(3, dtype=np.int32)).ravel()


def straightened(image: Pixels, corners: Floats) -> Pixels:
    """The quadrilateral ``corners`` [4, 2] (x, y; clockwise from the top left) of ``image`` as an upright rectangle.

    Bicubic with replicated borders, as ``cv2.warpPerspective`` does. Where the quadrilateral is an upright rectangle
    on whole pixels, as in most scans and screenshots, that is a plain cut.
    """
    width = int(max(_distance(corners, 0, 1), _distance(corners, 2, 3)))
    height = int(max(_distance(corners, 0, 3), _distance(corners, 1, 2)))
    x, y = int(corners[0, 0]), int(corners[0, 1])
    upright = np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], np.float32)
    if np.array_equal(upright, corners) and x + width <= image.shape[1] and y + height <= image.shape[0]:
        return image[y : y + height, x : x + width]
    return _bicubic(image, *_source_positions(corners, height, width))


def _distance(corners: Floats, one: int, other: int) -> float:
    return float(np.linalg.norm(corners[one] - corners[other]))


def _source_positions(corners: Floats, height: int, width: int) -> tuple[Ints, Ints]:
    """Where each pixel of the rectangle comes from, in 32nds of a pixel."""
    matrix = homography(width, height, corners)
    x, y = np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64)[:, None]
    across, down, depth = (row[0] * x + row[1] * y + row[2] for row in matrix)
    return np.rint(across / depth * 32).astype(np.int32), np.rint(down / depth * 32).astype(np.int32)


def homography(width: int, height: int, corners: Floats) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The 3x3 matrix that maps the corners (0, 0), (width, 0), (width, height), (0, height) to ``corners``.

    Two linear equations per corner in the eight unknowns: x'(gx + hy + 1) = ax + by + c, and the same for y'.
    """
    rows, values = [], []
    for (x, y), (u, v) in zip(((0, 0), (width, 0), (width, height), (0, height)), corners.tolist(), strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return np.append(np.linalg.solve(np.array(rows, float), np.array(values, float)), 1.0).reshape(3, 3)


def _bicubic(image: Pixels, x: Ints, y: Ints) -> Pixels:
    """Samples a picture at positions in 32nds of a pixel: four by four neighbors each."""
    columns = [((x >> 5) + step - 1).clip(0, image.shape[1] - 1) for step in range(4)]
    rows = [((y >> 5) + step - 1).clip(0, image.shape[0] - 1) for step in range(4)]
    left, top = columns[0].min(), rows[0].min()
    window = image[top : rows[3].max() + 1, left : columns[3].max() + 1]
    packed = np.pad(window, ((0, 0), (0, 0), (0, 1))).view(np.uint32).ravel()  # a whole pixel is one number to fetch
    across, down = _cubic_weights(x & 31), _cubic_weights(y & 31)
    result = np.zeros((*x.shape, 4), np.float32)
    for row, share in zip(rows, down, strict=True):
        start = (row - top) * window.shape[1] - left
        for column, part in zip(columns, across, strict=True):
            pixels = packed.take(start + column).view(np.uint8).reshape(result.shape)
            result += pixels * (part * share)[..., None]
    return np.rint(result[:, :, :3]).clip(0, 255).astype(np.uint8)


def _cubic_weights(fraction: Ints) -> list[Floats]:
    """Keys' cubic convolution kernel with a = -0.75, for the four neighbors of a position."""
    t = fraction.astype(np.float32) / 32
    far = ((_CUBIC * (t + 1) - 5 * _CUBIC) * (t + 1) + 8 * _CUBIC) * (t + 1) - 4 * _CUBIC
    near, next_ = (((_CUBIC + 2) * d - (_CUBIC + 3)) * d * d + 1 for d in (t, 1 - t))
    return [far, near, next_, 1 - far - near - next_]
