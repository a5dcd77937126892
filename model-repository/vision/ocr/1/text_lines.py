"""Where the lines of text are, from the detection model's map of likelihoods (Differentiable Binarization)."""

from typing import Any

import components
import numpy as np
import rectangles
from ocr_settings import Settings

Floats = np.ndarray[Any, np.dtype[np.float32]]

_MIN_SIDE = 3  # pixels of the map; smaller spots are no text
_SAME_LINE = 10  # pixels: boxes whose tops differ by less are read from left to right


def find(likelihood: Floats, height: int, width: int, settings: Settings) -> list[Floats]:
    """The boxes of text lines in a picture of ``height`` x ``width``, from its map [h, w], in reading order.

    Returns: one array [4, 2] per line: corners (x, y) in whole pixels of the picture, clockwise from the top left.
    """
    mask = _dilated(likelihood > settings.thresh)
    scale = np.array([width / likelihood.shape[1], height / likelihood.shape[0]])
    boxes = []
    for outline in components.outlines(mask)[: settings.max_candidates]:
        corners, side = rectangles.smallest_rectangle(outline)
        if side < _MIN_SIDE or _mean_inside(likelihood, corners) < settings.box_thresh:
            continue
        corners, side = rectangles.grown(corners, settings.unclip_ratio)
        if side < _MIN_SIDE + 2:
            continue
        box = _ordered(np.rint(corners * scale).clip(0, [width, height])).clip(0, [width - 1, height - 1])
        if int(np.linalg.norm(box[0] - box[1])) > 3 and int(np.linalg.norm(box[0] - box[3])) > 3:
            boxes.append(box.astype(np.float32))
    return _in_reading_order(boxes)


def _dilated(mask: np.ndarray[Any, np.dtype[np.bool_]]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Every pixel that is set, or has its left, upper or upper left neighbor set."""
    wide = mask.copy()
    wide[:, 1:] |= mask[:, :-1]
    tall = wide.copy()
    tall[1:] |= wide[:-1]
    return tall


def _mean_inside(likelihood: Floats, corners: np.ndarray[Any, Any]) -> float:
    """The mean of the map in a rectangle, its drawn outline (half a pixel beside the line) included."""
    rows, columns = likelihood.shape
    x0, y0 = np.floor(corners.min(axis=0)).clip(0, [columns - 1, rows - 1]).astype(int)
    x1, y1 = np.ceil(corners.max(axis=0)).clip(0, [columns - 1, rows - 1]).astype(int)
    shape = np.trunc(corners - [x0, y0])
    x, y = np.arange(x1 - x0 + 1), np.arange(y1 - y0 + 1)[:, None]
    inside = np.ones((len(y), len(x)), np.bool_)
    for (ax, ay), (bx, by) in zip(shape, np.roll(shape, -1, axis=0), strict=True):
        dx, dy = bx - ax, by - ay
        inside &= dx * (y - ay) - dy * (x - ax) >= -max(abs(dx), abs(dy)) / 2
    return float(likelihood[y0 : y1 + 1, x0 : x1 + 1][inside].mean()) if inside.any() else 0.0


def _ordered(box: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Clockwise from the top left: the two left corners by height, then the two right ones."""
    by_x = box[np.argsort(box[:, 0], kind="stable")]
    left, right = (pair[np.argsort(pair[:, 1], kind="stable")] for pair in (by_x[:2], by_x[2:]))
    return np.array([left[0], right[0], right[1], left[1]])


def _in_reading_order(boxes: list[Floats]) -> list[Floats]:
    """Top to bottom; boxes at about the same height left to right, by insertion from above."""
    ordered = sorted(boxes, key=lambda box: (box[0, 1], box[0, 0]))
    for end in range(1, len(ordered)):
        for at in range(end, 0, -1):
            box, before = ordered[at], ordered[at - 1]
            if abs(box[0, 1] - before[0, 1]) >= _SAME_LINE or box[0, 0] >= before[0, 0]:
                break
            ordered[at - 1 : at + 1] = box, before
    return ordered
