"""What the parameters in config.pbtxt set."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Names and meanings as in rapidocr's ``config.yaml``; ``_len`` and ``_height`` are pixels.

    Two are our own: ``rec_lines_per_call``, lines that recognition gets at a time, and ``max_enlarged_megapixels``, how
    far a thin picture may be enlarged.
    """

    text_score: float
    min_height: int
    width_height_ratio: float
    max_side_len: int
    min_side_len: int
    limit_side_len: int
    thresh: float
    box_thresh: float
    max_candidates: int
    unclip_ratio: float
    cls_thresh: float
    rec_batch_num: int
    rec_lines_per_call: int
    max_enlarged_megapixels: float

    @classmethod
    def read(cls, parameters: Mapping[str, Any]) -> "Settings":
        """Settings from the ``parameters`` of a config.pbtxt in Triton's JSON form.

        Raises:
            ValueError: one is missing or no number.
        """
        values: dict[str, Any] = {}
        for field in fields(cls):
            text = parameters.get(field.name, {}).get("string_value", "")
            try:
                values[field.name] = int(text) if field.type is int else float(text)
            except ValueError:
                raise ValueError(f"config.pbtxt: parameter {field.name} must be a number, not '{text}'") from None
        return cls(**values)
