"""The Triton model ``image-decode``: encoded image in, pixels out."""

import json
from collections.abc import Sequence
from typing import Any

import picture
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """Decodes one image per request; an image that it rejects is the client's mistake (INVALID_ARG)."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the limit from the config.

        Raises:
            TritonModelException: it is missing or not a number.
        """
        parameters = json.loads(args["model_config"])["parameters"]
        try:
            self._max_pixels = int(float(parameters["max_megapixels"]["string_value"]) * 1e6)
        except (KeyError, ValueError) as err:
            raise pb_utils.TritonModelException(
                "config.pbtxt: the parameter max_megapixels must be a number, like 40"
            ) from err

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Decode the image of every request."""
        return [self._decode(request) for request in requests]

    def _decode(self, request: Any) -> Any:
        data = pb_utils.get_input_tensor_by_name(request, "image").as_numpy()[0]
        wanted = pb_utils.get_input_tensor_by_name(request, "size")
        size = None if wanted is None else (int(wanted.as_numpy()[0]), int(wanted.as_numpy()[1]))
        try:
            pixels = picture.decode(data, self._max_pixels, size)
        except picture.InvalidImageError as err:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(err), pb_utils.TritonError.INVALID_ARG))
        return pb_utils.InferenceResponse([pb_utils.Tensor("pixels", pixels)])
