"""The picture as text is searched in it: not too large, not too small, not too thin."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from ocr_settings import Settings
from resampling import Pixels, resized

Floats = np.ndarray[Any, np.dtype[np.float32]]


class TooThinError(ValueError):
    """The picture would have to be enlarged beyond all measure; the message is for whoever sent it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """A picture [h, w, 3] made ready, and how it came from the one that was sent (``height`` x ``width``)."""

    pixels: Pixels
    height: int
    width: int
    margin: int

    def back(self, boxes: list[Floats]) -> Floats:
        """Boxes [n, 4, 2] in pixels of the picture that was sent."""
        rows, columns = self.pixels.shape[:2]
        scale = np.array([self.width / columns, self.height / (rows - 2 * self.margin)])
        moved = (np.array(boxes).reshape(-1, 4, 2) - [0, self.margin]) * scale
        return moved.clip(0, [self.width, self.height]).astype(np.float32)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Sizes (height, width) on the way to the detection model; ``margin`` is black rows above and below."""

    size: tuple[int, int]
    margin: int
    detection: tuple[int, int]

    @classmethod
    def of(cls, height: int, width: int, settings: Settings) -> "Plan":
        """What to do with a picture of this size.

        Raises:
            TooThinError: see ``max_enlarged_megapixels``.
        """
        size = height, width
        if max(size) > settings.max_side_len:
            size = _scaled(size, settings.max_side_len / max(size))
        if 0 < min(size) < settings.min_side_len:
            size = _scaled(size, settings.min_side_len / min(size))
        margin = _margin(size, settings)
        padded = size[0] + 2 * margin, size[1]
        detection = _scaled(padded, max(1.0, settings.limit_side_len / max(1, min(padded))))
        if not min(size) or detection[0] * detection[1] > settings.max_enlarged_megapixels * 1e6:
            raise TooThinError(
                f"the image is {width} x {height} pixels, too thin to find lines of text in it: "
                "cut it into parts, or send it with more pixels across"
            )
        return cls(size=size, margin=margin, detection=detection)

    def page(self, pixels: Pixels) -> Page:
        """The picture with these changes made."""
        ready = resized(np.ascontiguousarray(pixels), *self.size)
        if self.margin:
            ready = np.pad(ready, ((self.margin, self.margin), (0, 0), (0, 0)))
        return Page(pixels=ready, height=pixels.shape[0], width=pixels.shape[1], margin=self.margin)


def _scaled(size: tuple[int, int], factor: float) -> tuple[int, int]:
    """A size times a factor, each side to the nearest multiple of 32, which the network needs."""
    height, width = (round(int(side * factor) / 32) * 32 for side in size)
    return height, width


def _margin(size: tuple[int, int], settings: Settings) -> int:
    """Black rows that make a low picture, such as a single line, high enough for the network to see the line's ends."""
    height, width = size
    if not height or (height > settings.min_height and width / height <= settings.width_height_ratio):
        return 0
    return abs(max(int(width / settings.width_height_ratio), settings.min_height) * 2 - height) // 2
