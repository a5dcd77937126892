"""The image layout that a classifier's configuration asks for: size, channels, order, type and scale.

Values are ``(pixel * scale - mean) / std`` for pixels 0..255; with ``invert`` 255 minus the pixel (dark ink on light
paper for models that learned the opposite). ``scale`` is 1/255 for floats and 1 for UINT8 unless a parameter says
otherwise; ``mean`` and ``std`` are one number, or one for each channel. Gray is luma of ITU-R BT.601.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from predictors.vision.triton.model_config import ModelConfig, Port

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_DTYPES = {"FP32": np.float32, "FP16": np.float16, "UINT8": np.uint8}


class NotAnImageError(ValueError):
    """The model's input is not an image; the message says why."""


@dataclass(frozen=True, kw_only=True)
class ImageLayout:
    """Converts RGB pixels to the one input of a model.

    ``shape`` is the tensor's, with -1 where the image decides; ``height`` and ``width`` are None there. ``order`` is
    the order of height, width and channels: ``HWC``, ``CHW`` or, for one gray channel, ``HW``.
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
        """Height and width to resize to, or None for the image's own."""
        return None if self.height is None or self.width is None else (self.height, self.width)

    def bytes_of(self, pixels: np.ndarray) -> int:
        """Return the size of ``tensor``."""
        height, width = pixels.shape[:2]
        return int(height * width * self.channels * np.dtype(_DTYPES[self.datatype]).itemsize)

    def tensor(self, pixels: np.ndarray) -> np.ndarray:
        """Convert ``pixels`` UINT8 [height, width, 3] to the model's input."""
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

    def _shape(self, image: tuple[int, ...]) -> tuple[int, ...]:
        """Return the tensor's shape for an image: one row of a batch, or a row of values."""
        values = math.prod(image)
        if self.shape[-1] == values:
            return (1,) * (len(self.shape) - 1) + (values,)
        return (1,) * (len(self.shape) - len(image)) + image


def image_layout(config: ModelConfig) -> ImageLayout:
    """Return the layout of the images that a classifier takes.

    Raises:
        NotAnImageError: its input is not image-like, or a parameter cannot be read.
    """
    if len(config.inputs) != 1:
        raise NotAnImageError(f"it has {len(config.inputs)} inputs")
    port = config.inputs[0]
    if port.datatype not in _DTYPES:
        raise NotAnImageError(f"its input {port} is not FP32, FP16 or UINT8")
    order, channels, height, width = _geometry(port)
    parameters = config.parameters
    return ImageLayout(
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
    """Return order, channels, height and width of an input."""
    # Models rarely declare their format, so it is inferred: a dimension of 1 or 3 at either end is the channels.
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
    raise NotAnImageError(
        f"its input {port} is not an image: not [3, height, width], [height, width, 3], gray, or a square row"
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
        raise NotAnImageError(f"its parameter {name!r} is {text!r}; use one number{f', or {most}' if most > 1 else ''}")
    return numbers


def _switch(parameters: Mapping[str, str], name: str) -> bool:
    text = parameters.get(name, "") or "false"
    if text not in ("true", "false"):
        raise NotAnImageError(f"its parameter {name!r} is {text!r}; use true or false")
    return text == "true"
