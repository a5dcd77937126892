"""Pictures and lines of text as the tensors that the models take, and what the models say as text."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from resampling import Pixels, resized, resized_rows

Floats = np.ndarray[Any, np.dtype[np.float32]]

HEIGHT = 48  # pixels of a line, for direction and recognition
DIRECTION_WIDTH = 192
_LEAST_WIDTH = 320
_TALL = 1.5  # lines that are this much taller than wide are turned by 90 degrees

# All models take -1 to 1 for 0 to 255, and the channels in the order blue, green, red.
_NORMALIZED = ((np.arange(256, dtype=np.float32) / 255 - 0.5) / 0.5).astype(np.float32)


def picture(image: Pixels, height: int, width: int) -> Floats:
    """``image`` [h, w, 3] at the size that detection wants: [1, 3, height, width]."""
    result = np.empty((1, 3, height, width), np.float32)
    for start, rows in resized_rows(image, height, width):
        for channel in range(3):
            result[0, channel, start : start + len(rows)] = _NORMALIZED[rows[:, :, 2 - channel]]
    return result


def upright(line: Pixels) -> Pixels:
    """A line whose letters stand on its long side."""
    return np.rot90(line) if line.shape[0] / line.shape[1] >= _TALL else line


def ratio(line: Pixels) -> float:
    """Width by height."""
    return line.shape[1] / line.shape[0]


def width_for(lines: Sequence[Pixels]) -> int:
    """The width that a batch of lines is recognized at."""
    return int(HEIGHT * max(_LEAST_WIDTH / HEIGHT, *(ratio(line) for line in lines)))


def batch(lines: Sequence[Pixels], width: int) -> Floats:
    """Lines at a height of 48 and at most ``width``, the rest filled with gray: [n, 3, 48, width]."""
    result = np.zeros((len(lines), 3, HEIGHT, width), np.float32)
    for tensor, line in zip(result, lines, strict=True):
        own = min(width, int(np.ceil(HEIGHT * ratio(line))))
        small = resized(np.ascontiguousarray(line), HEIGHT, own)
        tensor[:, :, :own] = _NORMALIZED[small[:, :, ::-1]].transpose(2, 0, 1)
    return result


class Characters:
    """What the columns of the recognition model's answer stand for; connectionist temporal classification (CTC)."""

    def __init__(self, path: Path) -> None:
        """``path`` names a file with one character per line; blank comes before them, a space behind them."""
        characters = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        self._characters = np.array(["", *characters, " "], dtype=object)

    def __len__(self) -> int:
        return len(self._characters)

    def read(self, likelihoods: Floats) -> list[tuple[str, float]]:
        """Text and mean likelihood of every line of ``likelihoods`` [n, steps, characters].

        Of every run of the same best character the first counts, and blanks separate them; no text scores 0.
        """
        best = likelihoods.argmax(axis=2)
        sure = np.take_along_axis(likelihoods, best[:, :, None], axis=2)[:, :, 0]
        kept = best != 0
        kept[:, 1:] &= best[:, 1:] != best[:, :-1]
        return [
            ("".join(self._characters[line[keep]]), float(values[keep].mean(dtype=float)) if keep.any() else 0.0)
            for line, values, keep in zip(best, sure, kept, strict=True)
        ]
