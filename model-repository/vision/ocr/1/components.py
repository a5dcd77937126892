"""Connected components of a mask, by runs of set pixels instead of pixels."""

from typing import Any

import numpy as np

Mask = np.ndarray[Any, np.dtype[np.bool_]]
Ints = np.ndarray[Any, np.dtype[np.int64]]


def outlines(mask: Mask) -> list[Ints]:
    """For every 8-connected component of ``mask`` [h, w] the ends of its runs: points (x, y), [n, 2].

    Their convex hull is the component's. Components come in the order of their last line's, bottom first.
    """
    rows, starts, ends = _runs(mask)
    if not len(rows):
        return []
    labels = _joined(len(rows), *_neighbors(rows, starts, ends, mask.shape[1]))
    order = np.argsort(labels, kind="stable")
    cuts = np.flatnonzero(np.diff(labels[order])) + 1
    points = np.stack([np.stack([starts, rows], axis=1), np.stack([ends - 1, rows], axis=1)], axis=1)
    return [part.reshape(-1, 2) for part in np.split(points[order], cuts)][::-1]


def _runs(mask: Mask) -> tuple[Ints, Ints, Ints]:
    """Row, first column and column behind the last of every run, in reading order."""
    edges = np.zeros((mask.shape[0], mask.shape[1] + 1), np.bool_)
    edges[:, 1:-1] = mask[:, 1:] != mask[:, :-1]
    edges[:, 0], edges[:, -1] = mask[:, 0], mask[:, -1]
    rows, columns = np.nonzero(edges)
    return rows[::2], columns[::2], columns[1::2]


def _neighbors(rows: Ints, starts: Ints, ends: Ints, width: int) -> tuple[Ints, Ints]:
    """Pairs of runs in adjacent rows that touch, corners included."""
    stride = width + 2
    below = (rows + 1) * stride
    first = np.searchsorted(rows * stride + ends, below + starts, side="left")
    count = np.searchsorted(rows * stride + starts, below + ends, side="right") - first
    one = np.repeat(np.arange(len(rows)), count)
    offset = np.arange(len(one)) - np.repeat(np.cumsum(count) - count, count)
    return one, first[one] + offset


def _joined(count: int, one: Ints, other: Ints) -> Ints:
    """The label of every run: the smallest number of a run that it is connected with."""
    labels = np.arange(count)
    while True:
        low = np.minimum(labels[one], labels[other])
        high = np.maximum(labels[one], labels[other])
        if np.array_equal(low, high):
            return labels
        np.minimum.at(labels, high, low)
        while not np.array_equal(labels, labels[labels]):
            labels = labels[labels]
