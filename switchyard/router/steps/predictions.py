"""``mapPredictionsToInstances``: the answer of a V1 predictor as the request of the next."""

import orjson


def instances(body: bytes) -> bytes:
    """``{"instances": …}`` from the predictions in ``body``, every other key left out; ``body`` itself without any.

    As Go's decoder does for KServe's router, keys match in any case, the last one wins, and a value that is no list
    leaves the body as it is. Numbers keep their digits, which upstream rounds to 64-bit floats.
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
