"""Smallest rectangles around points, and rectangles that grow."""

from typing import Any

import numpy as np

Points = np.ndarray[Any, np.dtype[np.float64]]
Floats = np.ndarray[Any, np.dtype[np.float32]]

_ARC_TOLERANCE = 0.25  # of a pixel: how far a rounded corner's chords may lie inside the arc


def convex_hull(points: np.ndarray[Any, Any]) -> Points:
    """The corners of the convex hull of ``points`` [n, 2], in order (Andrew's monotone chain)."""
    ordered = sorted(set(map(tuple, points.tolist())))
    if len(ordered) < 3:
        return np.array(ordered, float).reshape(-1, 2)
    return np.array(_chain(ordered)[:-1] + _chain(ordered[::-1])[:-1], float)


def _chain(points: list[Any]) -> list[Any]:
    chain: list[Any] = []
    for x, y in points:
        while len(chain) > 1:
            (x1, y1), (x0, y0) = chain[-1], chain[-2]
            if (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) > 0:
                break
            chain.pop()
        chain.append((x, y))
    return chain


def smallest_rectangle(points: np.ndarray[Any, Any]) -> tuple[Points, float]:
    """The rectangle of least area around points: its corners (clockwise from the top left) and its shorter side.

    One of its sides lies on a side of the convex hull (Freeman and Shapira 1975), so only those directions are tried.
    In single precision and in the order of operations of ``cv2.minAreaRect``: corners are cut down to whole pixels
    later, and only equal rounding gives the pixel that the models' own pipeline gets. Points on one line have a
    rectangle without width.
    """
    hull = convex_hull(points).astype(np.float32)
    if len(hull) < 3:
        return np.repeat(hull[:1], 4, axis=0).astype(float), 0.0
    cos, sin = _directions(hull)
    along = hull.astype(float) @ np.stack([cos, sin]).astype(float)
    across = hull.astype(float) @ np.stack([-sin, cos]).astype(float)
    start, floor = hull[along.argmin(axis=0)], hull[across.argmin(axis=0)]
    length, height = hull[along.argmax(axis=0)] - start, hull[across.argmax(axis=0)] - floor
    width = length[:, 0] * cos + length[:, 1] * sin
    depth = height[:, 1] * cos - height[:, 0] * sin
    best = int(np.argmin(np.where(_passed_over(hull, sin), np.inf, width * depth)))
    corners, sides = _corners(start[best], floor[best], (cos[best], sin[best]), (width[best], depth[best]))
    return _from_top_left(corners), min(sides)


def _directions(hull: Floats) -> tuple[Floats, Floats]:
    """Cosine and sine of every side's direction, turned by right angles into the first quadrant."""
    sides = np.roll(hull, -1, axis=0) - hull
    cos, sin = (sides * (1 / np.linalg.norm(sides.astype(float), axis=1)).astype(np.float32)[:, None]).T
    for _ in range(3):
        outside = (cos <= 0) | (sin < 0)
        cos, sin = np.where(outside, sin, cos), np.where(outside, -cos, sin)
    return cos, sin


def _passed_over(hull: Floats, sin: Floats) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """The top side, where another side is upright too: OpenCV's calipers start behind it and stop before it."""
    ends = np.roll(hull, -1, axis=0)
    top = (hull[:, 1] == hull[:, 1].min()) & (ends[:, 1] == hull[:, 1].min())
    return top if np.count_nonzero(sin == 0) > 1 else np.zeros_like(top)


def _corners(start: Floats, floor: Floats, direction: Any, size: Any) -> tuple[Points, tuple[float, float]]:
    """Corners and sides of the rectangle of a ``size`` along and across ``direction`` that touches two points."""
    (cos, sin), (width, depth), half = direction, size, np.float32(0.5)
    one, other = cos * start[0] + start[1] * sin, cos * floor[1] - sin * floor[0]
    scale = np.float32(1) / (cos * cos + sin * sin)
    origin = np.array([(one * cos - other * sin) * scale, (cos * other + sin * one) * scale], np.float32)
    wide, deep = np.array([cos * width, sin * width], np.float32), np.array([-sin * depth, cos * depth], np.float32)
    x, y = origin + (wide + deep) * half
    long, short = (np.float32(np.hypot(*side.astype(float))) for side in (wide, deep))
    angle = np.radians(float(np.float32(np.degrees(float(np.arctan2(*wide[::-1]))))))
    a, b = np.float32(np.sin(angle)) * half, np.float32(np.cos(angle)) * half
    first = np.array([x - a * short - b * long, y + b * short - a * long], np.float32)
    second = np.array([x + a * short - b * long, y - b * short - a * long], np.float32)
    middle = np.array([2 * x, 2 * y], np.float32)
    return np.array([first, second, middle - first, middle - second], float), (float(long), float(short))


def _from_top_left(corners: Points) -> Points:
    by_x = sorted(corners.tolist())
    left, right = (sorted(pair, key=lambda point: point[1]) for pair in (by_x[:2], by_x[2:]))
    return np.array([left[0], right[0], right[1], left[1]])


def grown(corners: Points, ratio: float) -> tuple[Points, float]:
    """A rectangle with its text's margins back: moved outwards by area * ratio / perimeter (DB, Liao et al. 2019).

    Corners and results lie on whole pixels, and the moved corners are rounded off by chords, as Clipper does it
    (``JT_ROUND``, arc tolerance 0.25): the smallest rectangle around that is the result.
    """
    sides = np.roll(corners, -1, axis=0) - corners
    lengths = np.linalg.norm(sides, axis=1)
    area = abs(sides[0, 0] * sides[1, 1] - sides[0, 1] * sides[1, 0])
    return smallest_rectangle(_offset(np.trunc(corners), float(area * ratio / lengths.sum())))


def _offset(corners: Points, distance: float) -> Points:
    """``corners`` (clockwise in a picture) moved outwards by ``distance``, rounded off, on whole pixels."""
    sides = np.roll(corners, -1, axis=0) - corners
    after = np.arctan2(-sides[:, 0], sides[:, 1])  # the direction that points away from the side behind each corner
    turn = np.angle(np.exp(1j * (after - np.roll(after, 1))))
    tolerance = min(_ARC_TOLERANCE, distance * _ARC_TOLERANCE)
    steps = min(np.pi / np.arccos(1 - tolerance / distance), distance * np.pi)
    points = []
    for corner, before, angle in zip(corners, np.roll(after, 1), turn, strict=True):
        count = max(round(steps / (2 * np.pi) * abs(float(angle))), 1)
        directions = np.append(before + np.arange(count) * np.copysign(2 * np.pi / steps, angle), before + angle)
        points.append(corner + distance * np.stack([np.cos(directions), np.sin(directions)], axis=1))
    return np.floor(np.concatenate(points) + 0.5)
