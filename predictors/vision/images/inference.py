"""Images to text or labels, for every model: how to call it is read from its own configuration.

Only Triton's model ``image-decode`` decodes images; here they are bytes.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np

from predictors.vision.admission import Admission
from predictors.vision.images.layout import NotAnImageError, image_layout
from predictors.vision.images.usage import count_image
from predictors.vision.triton.client import TritonClient
from predictors.vision.triton.loading.loaded_models import LoadedModels
from predictors.vision.triton.model_config import ModelConfig
from predictors.vision.triton.tensors import RequestedOutput, Tensor
from switchyard.http.api_errors import ApiError

DECODER = "image-decode"
MAX_LABELS = 1000


@dataclass(frozen=True, kw_only=True)
class Image:
    """An encoded image, and the maximum number of labels."""

    data: bytes
    top_k: int = 5

    def __post_init__(self) -> None:
        if not self.data:
            raise ApiError("invalid_value", "the image is empty; send the bytes of an encoded image")
        if not 1 <= self.top_k <= MAX_LABELS:
            raise ApiError("invalid_value", f"top_k is {self.top_k}; use a whole number from 1 to {MAX_LABELS}")


@dataclass(frozen=True, kw_only=True)
class OcrResult:
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
    """One class; its label is the index when the model names none."""

    label: str
    score: float
    index: int


@dataclass(frozen=True, kw_only=True)
class Classification:
    """The best classes, best first."""

    labels: tuple[Label, ...]

    def as_text(self) -> str:
        return "\n".join(label.label for label in self.labels)

    def as_json(self) -> dict[str, object]:
        return {"labels": [{"label": item.label, "score": item.score, "index": item.index} for item in self.labels]}

    def as_tensors(self) -> Mapping[str, np.ndarray]:
        return {
            "label": np.array([item.label.encode() for item in self.labels], dtype=np.object_),
            "score": np.array([item.score for item in self.labels], dtype=np.float32),
            "index": np.array([item.index for item in self.labels], dtype=np.int32),
        }


ImageResult = OcrResult | Classification


class ImageInference:
    """Runs one image at a time through a model, which the caller must keep loaded.

    Where a model leaves its input size open, an image may become a tensor of at most ``tensor_bytes``.
    """

    def __init__(
        self, triton: TritonClient, loaded_models: LoadedModels, admission: Admission, *, tensor_bytes: int
    ) -> None:
        self._triton = triton
        self._loaded_models = loaded_models
        self._admission = admission
        self._tensor_bytes = tensor_bytes

    async def infer(self, config: ModelConfig, image: Image, traceparent: str | None) -> ImageResult:
        """Read or label an image.

        Raises:
            ApiError: the model takes no images, the image cannot be decoded, or Triton does not respond.
        """
        with self._admission.to_triton(traceparent) as context:
            infer = self._read if config.reads_text else self._label
            result: ImageResult = await infer(config, image, context)
        count_image(image.data)
        return result

    async def _read(self, config: ModelConfig, image: Image, context: str | None) -> OcrResult:
        tensor = _tensor(config, image)
        outputs = [RequestedOutput(name=name) for name in ("text", "boxes", "scores")]
        result = await self._triton.infer(config.name, [tensor], outputs, context)
        return OcrResult(
            lines=tuple(text.decode("utf-8", "replace") for text in result["text"].reshape(-1).tolist()),
            boxes=result["boxes"].reshape(-1, 4, 2),
            scores=tuple(result["scores"].reshape(-1).tolist()),
        )

    async def _label(self, config: ModelConfig, image: Image, context: str | None) -> Classification:
        scores = config.scores
        try:
            if scores is None:
                raise NotAnImageError("it has no output that is clearly the scores of its classes")
            plan = image_layout(config)
        except NotAnImageError as err:
            message = f"model {config.name!r} takes no images: {err}; {_tensors(config)}"
            raise ApiError("wrong_model_kind", message) from err
        pixels = await self._decode(image, plan.size, context)
        # Checked before the conversion: as FP32 a tensor is four times its pixels.
        if plan.bytes_of(pixels) > self._tensor_bytes:
            size = f"{pixels.shape[1]} x {pixels.shape[0]} pixels as {plan.datatype}"
            limit = f"{self._tensor_bytes} bytes (MAX_BODY_BYTES)"
            raise ApiError("body_too_large", f"{size} are more than {limit}; send a smaller image")
        tensor = Tensor.of_numbers(plan.name, plan.tensor(pixels))
        output = RequestedOutput(name=scores.name, classes=image.top_k)
        result = await self._triton.infer(config.name, [tensor], [output], context)
        return Classification(labels=tuple(_class(row) for row in result[scores.name].reshape(-1).tolist()))

    async def _decode(self, image: Image, size: tuple[int, int] | None, context: str | None) -> np.ndarray:
        inputs = [Tensor.of_bytes("image", image.data)]
        if size is not None:
            inputs.append(Tensor.of_numbers("size", np.array(size, dtype=np.int32)))
        async with self._decoder():
            result = await self._triton.infer(DECODER, inputs, [RequestedOutput(name="pixels")], context)
        return result["pixels"]

    @asynccontextmanager
    async def _decoder(self) -> AsyncIterator[None]:
        try:
            async with self._loaded_models.use(DECODER):
                yield
        except ApiError as err:
            if err.status != 404:
                raise
            message = f"images are decoded by the model {DECODER!r}, which this repository does not have; send tensors"
            raise ApiError("invalid_value", message) from err


def takes_images(config: ModelConfig) -> bool:
    """Whether images are converted to this model's tensors here; a model of bytes gets them unchanged."""
    return not config.takes_bytes


def _tensor(config: ModelConfig, image: Image) -> Tensor:
    # One image: each free dimension is 1, the batch's among them.
    port = config.inputs[0]
    return Tensor.of_bytes(port.name, image.data, tuple(max(size, 1) for size in port.shape))


def _class(row: bytes) -> Label:
    """Parse a row of Triton's classification extension, ``score:index`` or ``score:index:label``.

    https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_classification.md
    """
    # Split twice at most, as a label may hold colons itself. Triton splits a file of labels at line feeds only, so what
    # Windows writes besides is part of its labels.
    score, index, *label = row.decode("utf-8", "replace").replace("\ufeff", "").removesuffix("\r").split(":", 2)
    return Label(label=label[0] if label else index, score=float(score), index=int(index))


def _tensors(config: ModelConfig) -> str:
    inputs = ", ".join(str(port) for port in config.inputs)
    return f"send tensors to /v2/models/{config.name}/infer: {inputs}"
