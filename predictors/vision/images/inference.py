"""Pictures to text or labels, whatever the model: what to ask it is read from its own configuration.

Pictures are decoded in one place of the platform, Triton's model ``image-decode``; here they are only bytes.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np

from predictors.vision.calls import Calls
from predictors.vision.pictures.layout import NoPicture, layout
from predictors.vision.refusal import Refused
from predictors.vision.triton.client import Triton
from predictors.vision.triton.model_config import Description
from predictors.vision.triton.residency import Residency
from predictors.vision.triton.tensors import Tensor, Wanted

DECODER = "image-decode"
MOST_LABELS = 1000


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An encoded picture and how many labels are wanted at most."""

    data: bytes
    top_k: int = 5

    def __post_init__(self) -> None:
        if not self.data:
            raise Refused(400, "the picture is empty; send the bytes of an encoded picture")
        if not 1 <= self.top_k <= MOST_LABELS:
            raise Refused(400, f"top_k is {self.top_k}; use a whole number from 1 to {MOST_LABELS}")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Lines of text in reading order; ``boxes`` [lines, 4, 2] in pixels, clockwise from a line's top left."""

    lines: tuple[str, ...]
    boxes: np.ndarray
    scores: tuple[float, ...]

    def as_text(self) -> str:
        return "\n".join(self.lines)

    def as_json(self) -> dict[str, object]:
        rows = zip(self.lines, self.scores, self.boxes.tolist(), strict=True)
        lines = [{"text": text, "score": round(score, 4), "box": box} for text, score, box in rows]
        return {"text": self.as_text(), "lines": lines}

    def as_tensors(self) -> Mapping[str, np.ndarray]:
        texts = np.array([line.encode() for line in self.lines], dtype=np.object_)
        return {"text": texts, "boxes": self.boxes, "scores": np.array(self.scores, dtype=np.float32)}


@dataclass(frozen=True, kw_only=True)
class Label:
    """One class; its index when the model names none."""

    label: str
    score: float
    index: int


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The best classes, best first."""

    labels: tuple[Label, ...]

    def as_text(self) -> str:
        return "\n".join(label.label for label in self.labels)

    def as_json(self) -> dict[str, object]:
        return {"labels": [{"label": one.label, "score": one.score, "index": one.index} for one in self.labels]}

    def as_tensors(self) -> Mapping[str, np.ndarray]:
        return {
            "label": np.array([one.label.encode() for one in self.labels], dtype=np.object_),
            "score": np.array([one.score for one in self.labels], dtype=np.float32),
            "index": np.array([one.index for one in self.labels], dtype=np.int32),
        }


Answer = Reading | Labels


class Pictures:
    """Answers one picture at a time; the model must be held in memory meanwhile.

    A picture may become a tensor of at most ``tensor_bytes``, where the model leaves its size to the picture.
    """

    def __init__(self, triton: Triton, residency: Residency, calls: Calls, *, tensor_bytes: int) -> None:
        self._triton = triton
        self._residency = residency
        self._calls = calls
        self._tensor_bytes = tensor_bytes

    async def ask(self, description: Description, picture: Picture, traceparent: str | None) -> Answer:
        """Reads or labels a picture.

        Raises:
            Refused: the model takes no pictures, the picture cannot be decoded, or Triton does not answer.
        """
        with self._calls.to_triton(traceparent) as context:
            if description.reads:
                return await self._read(description, picture, context)
            return await self._label(description, picture, context)

    async def _read(self, description: Description, picture: Picture, context: str | None) -> Reading:
        image = _tensor(description, picture)
        wanted = [Wanted(name=name) for name in ("text", "boxes", "scores")]
        answer = await self._triton.infer(description.name, [image], wanted, context)
        return Reading(
            lines=tuple(text.decode("utf-8", "replace") for text in answer["text"].reshape(-1).tolist()),
            boxes=answer["boxes"].reshape(-1, 4, 2),
            scores=tuple(answer["scores"].reshape(-1).tolist()),
        )

    async def _label(self, description: Description, picture: Picture, context: str | None) -> Labels:
        scores = description.scores
        try:
            if scores is None:
                raise NoPicture("it has no output that is plainly the scores of its classes")
            plan = layout(description)
        except NoPicture as err:
            raise Refused(400, f"model {description.name!r} takes no pictures: {err}; {_tensors(description)}") from err
        pixels = await self._decode(picture, plan.size, context)
        if plan.bytes_of(pixels) > self._tensor_bytes:
            size = f"{pixels.shape[1]} x {pixels.shape[0]} pixels as {plan.datatype}"
            limit = f"{self._tensor_bytes} bytes (MAX_BODY_BYTES)"
            raise Refused(413, f"{size} are more than {limit}; send a smaller picture")
        tensor = Tensor.of_numbers(plan.name, plan.tensor(pixels))
        wanted = Wanted(name=scores.name, classes=picture.top_k)
        answer = await self._triton.infer(description.name, [tensor], [wanted], context)
        return Labels(labels=tuple(_class(row) for row in answer[scores.name].reshape(-1).tolist()))

    async def _decode(self, picture: Picture, size: tuple[int, int] | None, context: str | None) -> np.ndarray:
        inputs = [Tensor.of_bytes("image", picture.data)]
        if size is not None:
            inputs.append(Tensor.of_numbers("size", np.array(size, dtype=np.int32)))
        async with self._decoder():
            answer = await self._triton.infer(DECODER, inputs, [Wanted(name="pixels")], context)
        return answer["pixels"]

    @asynccontextmanager
    async def _decoder(self) -> AsyncIterator[None]:
        try:
            async with self._residency.use(DECODER):
                yield
        except Refused as err:
            if err.status != 404:
                raise
            sentence = f"pictures are decoded by the model {DECODER!r}, which this repository lacks; send tensors"
            raise Refused(400, sentence) from err


def takes_pictures(description: Description) -> bool:
    """Whether pictures are turned into this model's tensors here; a model of bytes gets them as they are."""
    return not description.takes_bytes


def _tensor(description: Description, picture: Picture) -> Tensor:
    port = description.inputs[0]
    return Tensor.of_bytes(port.name, picture.data, tuple(max(size, 1) for size in port.shape))


def _class(row: bytes) -> Label:
    """One row of Triton's classification extension, ``score:index`` or ``score:index:label``.

    https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_classification.md
    """
    score, index, *label = row.decode("utf-8", "replace").split(":", 2)
    return Label(label=label[0] if label else index, score=float(score), index=int(index))


def _tensors(description: Description) -> str:
    inputs = ", ".join(str(port) for port in description.inputs)
    return f"send tensors to /v2/models/{description.name}/infer: {inputs}"
