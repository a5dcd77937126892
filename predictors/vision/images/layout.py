"""How a classifier wants a picture, read off its configuration: size, channels, order, type and scale.

Values are ``(pixel * scale - mean) / std`` for pixels 0..255; with ``invert`` 255 minus the pixel (dark ink on light
paper for models that learned the opposite). ``scale`` is 1/255 for floats and 1 for UINT8 unless a parameter says
otherwise; ``mean`` and ``std`` are one number, or one for each channel. Grey is luma of ITU-R BT.601.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from predictors.vision.triton.model_config import Description, Port

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_DTYPES = {"FP32": np.float32, "FP16": np.float16, "UINT8": np.uint8}


class NoPicture(ValueError):
    """The model does not take pictures; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Turns RGB pixels into the one input of a model.

    ``shape`` is the tensor's, with -1 where the picture decides; ``height`` and ``width`` are None there. ``order`` is
    how height, width and channels lie: ``HWC``, ``CHW`` or, for one grey channel, ``HW``.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    order: str
    channels: int
    height: int | None
    width: int | None
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    invert: bool

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width to resize to, or None for the picture's own."""
        return None if self.height is None or self.width is None else (self.height, self.width)

    def bytes_of(self, pixels: np.ndarray) -> int:
        """How large ``tensor`` would be."""
        height, width = pixels.shape[:2]
        return int(height * width * self.channels * np.dtype(_DTYPES[self.datatype]).itemsize)

    def tensor(self, pixels: np.ndarray) -> np.ndarray:
        """``pixels`` UINT8 [height, width, 3] as the model's input."""
        values = pixels.astype(np.float32)
        if self.invert:
            values = 255.0 - values
        if self.channels == 1:
            values = (values @ _LUMA)[:, :, np.newaxis]
        values *= np.float32(self.scale)
        if self.mean != (0.0,) or self.std != (1.0,):
            values -= np.array(self.mean, np.float32)
            values /= np.array(self.std, np.float32)
        if self.datatype == "UINT8":
            values = np.clip(np.rint(values), 0, 255)
        if self.order == "CHW":
            values = values.transpose(2, 0, 1)
        height, width = pixels.shape[:2]
        own = {"HWC": (height, width, self.channels), "CHW": (self.channels, height, width), "HW": (height, width)}
        shape = self._shape(own[self.order])
        return np.ascontiguousarray(values, dtype=_DTYPES[self.datatype]).reshape(shape)

    def _shape(self, picture: tuple[int, ...]) -> tuple[int, ...]:
        """The tensor's shape for a picture: one row of a batch, or a row of values."""
        values = math.prod(picture)
        if self.shape[-1] == values:
            return (1,) * (len(self.shape) - 1) + (values,)
        return (1,) * (len(self.shape) - len(picture)) + picture


def layout(description: Description) -> Layout:
    """The layout of the pictures that a classifier takes.

    Raises:
        NoPicture: its input is not image-like, or a parameter cannot be read.
    """
    if len(description.inputs) != 1:
        raise NoPicture(f"it has {len(description.inputs)} inputs")
    port = description.inputs[0]
    if port.datatype not in _DTYPES:
        raise NoPicture(f"its input {port} is not FP32, FP16 or UINT8")
    order, channels, height, width = _geometry(port)
    parameters = description.parameters
    return Layout(
        name=port.name,
        datatype=port.datatype,
        shape=port.shape,
        order=order,
        channels=channels,
        height=height if height > 0 else None,
        width=width if width > 0 else None,
        scale=_numbers(parameters, "scale", 1.0 if port.datatype == "UINT8" else 1 / 255, most=1)[0],
        mean=_numbers(parameters, "mean", 0.0, most=channels),
        std=_numbers(parameters, "std", 1.0, most=channels, zero=False),
        invert=_switch(parameters, "invert"),
    )


def _geometry(port: Port) -> tuple[str, int, int, int]:
    """Order, channels, height and width of an input."""
    shape = port.shape
    if len(shape) == 4 and shape[0] in (-1, 1):
        shape = shape[1:]
    if len(shape) == 3 and port.format != "NHWC" and shape[0] in (1, 3):
        return "CHW", shape[0], shape[1], shape[2]
    if len(shape) == 3 and port.format != "NCHW" and shape[2] in (1, 3):
        return "HWC", shape[2], shape[0], shape[1]
    if len(shape) == 3 and shape[0] in (-1, 1):
        shape = shape[1:]
    if len(shape) == 2 and shape[0] > 1 and shape[1] > 1:
        return "HW", 1, shape[0], shape[1]
    if len(shape) in (1, 2) and shape[-1] > 0 and all(size in (-1, 1) for size in shape[:-1]):
        side = math.isqrt(shape[-1])
        if side * side == shape[-1]:
            return "HW", 1, side, side
    raise NoPicture(
        f"its input {port} is no picture: not [3, height, width], [height, width, 3], grey, or a square row"
    )


def _numbers(
    parameters: Mapping[str, str], name: str, default: float, *, most: int, zero: bool = True
) -> tuple[float, ...]:
    text = parameters.get(name, "")
    try:
        numbers = tuple(float(part) for part in text.replace(",", " ").split()) or (default,)
    except ValueError:
        numbers = ()
    if len(numbers) not in (1, most) or not all(math.isfinite(number) and (zero or number) for number in numbers):
        raise NoPicture(f"its parameter {name!r} is {text!r}; use one number{f', or {most}' if most > 1 else ''}")
    return numbers


def _switch(parameters: Mapping[str, str], name: str) -> bool:
    text = parameters.get(name, "") or "false"
    if text not in ("true", "false"):
        raise NoPicture(f"its parameter {name!r} is {text!r}; use true or false")
    return text == "true"
