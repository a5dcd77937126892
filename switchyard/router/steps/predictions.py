"""``mapPredictionsToInstances``: the response of a V1 predictor as the request of the next."""

import orjson


def instances(body: bytes) -> bytes:
    """Convert the predictions in ``body`` to ``{"instances": …}``; return ``body`` when it has no predictions.

    As with Go's decoder in KServe's router, other keys are dropped, keys match in any case, the last one wins, and a
    value that is not a list leaves the body unchanged. Numbers keep their digits; KServe rounds them to 64-bit floats.
    """
    try:
        decoded = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body
    if not isinstance(decoded, dict):
        return body
    predictions: list[object] = []
    for key, value in decoded.items():
        name = key.casefold()
        if name in ("predictions", "instances"):
            if value is not None and not isinstance(value, list):
                return body
            if name == "predictions":
                predictions = value or []
    return orjson.dumps({"instances": predictions}) if predictions else body
