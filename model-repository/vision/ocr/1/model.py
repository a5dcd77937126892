"""The Triton model ``ocr``: an encoded picture in, its text out. Calls the models that do the work inside Triton (BLS).

::

    image ─ image-decode ─ ocr-detection ─┬─ ocr-direction ─┬─ ocr-recognition (some lines) ─┬─ text, boxes, scores
                                   lines cut out      turned upright  (others, at once)      ┘
"""

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import line_tensors
import numpy as np
import text_lines
import triton_python_backend_utils as pb_utils
from ocr_settings import Settings
from page import Page, Plan, TooThinError
from resampling import Pixels, straightened

T = TypeVar("T")

_DECODE = ("image-decode", "image", "pixels")
_DETECTION = ("ocr-detection", "x", "sigmoid_0.tmp_0")
_DIRECTION = ("ocr-direction", "x", "save_infer_model/scale_0.tmp_1")
_RECOGNITION = ("ocr-recognition", "x", "softmax_11.tmp_0")
_DIRECTION_BATCH = 32


class StepError(Exception):
    """A model that this one calls answered with an error, which becomes the answer.

    Triton makes every error of such a call INTERNAL; what image-decode refuses is the sender's mistake all the same.
    """

    def __init__(self, model: str, message: str) -> None:
        super().__init__(message)
        refused = model == _DECODE[0] and pb_utils.is_model_ready(model)
        self.code = pb_utils.TritonError.INVALID_ARG if refused else pb_utils.TritonError.INTERNAL


class Steps:
    """The models that one request's picture passes; their spans are of the request's ``trace``."""

    def __init__(self, trace: Any) -> None:
        self._trace = trace

    async def call(self, step: tuple[str, str, str], value: Any) -> Any:
        """Calls a model with one tensor.

        Raises:
            StepError: it answered with an error.
        """
        model, input_name, output_name = step
        request = pb_utils.InferenceRequest(
            model_name=model,
            inputs=[pb_utils.Tensor(input_name, value)],
            requested_output_names=[output_name],
            trace=self._trace,
        )
        response = await request.async_exec()
        if response.has_error():
            raise StepError(model, response.error().message())
        return pb_utils.get_output_tensor_by_name(response, output_name).as_numpy()


class TritonPythonModel:
    """Reads one picture per request; the lines of one picture are recognized side by side."""

    def initialize(self, args: dict[str, str]) -> None:
        """Reads settings and the character set.

        Raises:
            TritonModelException: a parameter of config.pbtxt is missing or no number.
        """
        try:
            self._settings = Settings.read(json.loads(args["model_config"])["parameters"])
        except ValueError as err:
            raise pb_utils.TritonModelException(str(err)) from err
        self._characters = line_tensors.Characters(Path(__file__).with_name("characters.txt"))

    async def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Reads the picture of every request."""
        return [await self._answer(request) for request in requests]

    async def _answer(self, request: Any) -> Any:
        try:
            encoded = pb_utils.get_input_tensor_by_name(request, "image").as_numpy()
            texts, boxes, scores = await self._read(encoded, Steps(request.trace()))
        except StepError as err:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(err), err.code))
        except TooThinError as err:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(err), pb_utils.TritonError.INVALID_ARG))
        outputs = {
            "text": np.array([text.encode() for text in texts], dtype=object),
            "boxes": boxes,
            "scores": np.array(scores, np.float32),
        }
        wanted = request.requested_output_names()
        return pb_utils.InferenceResponse([pb_utils.Tensor(name, outputs[name]) for name in wanted])

    async def _read(self, encoded: Any, steps: Steps) -> tuple[list[str], Any, list[float]]:
        pixels = await steps.call(_DECODE, encoded)
        page, boxes = await self._lines(pixels, steps)
        lines = [line_tensors.upright(straightened(page.pixels, box)) for box in boxes]
        read = await self._recognized(await self._turned(lines, steps), steps)
        kept = [at for at, (_, score) in enumerate(read) if score >= self._settings.text_score]
        return [read[at][0] for at in kept], page.back(boxes)[kept], [read[at][1] for at in kept]

    async def _lines(self, pixels: Pixels, steps: Steps) -> tuple[Page, list[Any]]:
        plan = Plan.of(*pixels.shape[:2], self._settings)
        page = plan.page(pixels)
        likelihood = await steps.call(_DETECTION, line_tensors.picture(page.pixels, *plan.detection))
        return page, text_lines.find(likelihood[0, 0], *page.pixels.shape[:2], self._settings)

    async def _turned(self, lines: list[Pixels], steps: Steps) -> list[Pixels]:
        """The lines, those that stand on their heads turned."""
        turned: list[Pixels] = []
        for part in _parts(lines, _DIRECTION_BATCH):
            sure = await steps.call(_DIRECTION, line_tensors.batch(part, line_tensors.DIRECTION_WIDTH))
            heads = (sure[:, 1] > sure[:, 0]) & (sure[:, 1] > self._settings.cls_thresh)
            turned += [np.rot90(line, 2) if head else line for line, head in zip(part, heads, strict=True)]
        return turned

    async def _recognized(self, lines: list[Pixels], steps: Steps) -> list[tuple[str, float]]:
        """Text and score of every line; lines of like width get the same width, and all are asked for at once."""
        order = np.argsort([line_tensors.ratio(line) for line in lines])
        calls = []
        for group in _parts([lines[at] for at in order], self._settings.rec_batch_num):
            width = line_tensors.width_for(group)
            calls += [self._recognize(part, width, steps) for part in _parts(group, self._settings.rec_lines_per_call)]
        answers = await asyncio.gather(*calls)
        read = dict(zip(order.tolist(), (line for answer in answers for line in answer), strict=True))
        return [read[at] for at in range(len(lines))]

    async def _recognize(self, lines: list[Pixels], width: int, steps: Steps) -> list[tuple[str, float]]:
        return self._characters.read(await steps.call(_RECOGNITION, line_tensors.batch(lines, width)))


def _parts(items: list[T], size: int) -> Iterator[list[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
