import pytest

from predictors.vision.rest.routes import route


@pytest.mark.parametrize(
    ("path", "kind", "model", "target"),
    [
        ("/v2", "server", "", "/v2"),
        ("/v2/repository/index", "index", "", "/v2/repository/index"),
        ("/v2/models/stats", "server", "", "/v2/models/stats"),
        ("/v2/models/ocr", "model", "ocr", "/v2/models/ocr"),
        ("/v2/models/ocr/versions/2/config", "model", "ocr", "/v2/models/ocr/versions/2/config"),
        ("/v2/models/ocr/infer", "infer", "ocr", "/v2/models/ocr/infer"),
        ("/v2/models/ocr/generate_stream", "infer", "ocr", "/v2/models/ocr/generate_stream"),
        ("/v2/models/ocr/ready", "model-ready", "ocr", "/v2/models/ocr/ready"),
        ("/v2/repository/models/ocr/load", "load", "ocr", ""),
        ("/v2/repository/models/ocr/unload", "unload", "ocr", ""),
        ("/v1/models/ocr:predict", "predict", "ocr", ""),
        ("/v1/vision/ocr", "image", "ocr", ""),
        ("/v2/systemsharedmemory/status", "closed", "", ""),
        ("/v2/cudasharedmemory/region/a/register", "closed", "", ""),
        ("/v2/logging", "closed", "", ""),
        ("/v2/trace/setting", "closed", "", ""),
        ("/v2/models/ocr/trace/setting", "closed", "", ""),
        ("/v2/models/../logging", "closed", "", ""),
        (f"/v2/models/{'a' * 2000}/infer", "closed", "", ""),
        ("/", "kserve", "", ""),
        ("/docs", "kserve", "", ""),
    ],
)
def test_a_path_asks_for_one_thing(path: str, kind: str, model: str, target: str) -> None:
    found = route(path)
    assert (found.kind, found.model, found.target) == (kind, model, target)


def test_what_goes_to_triton_is_encoded_anew() -> None:
    assert route("/v2/models/a b?c#d/infer").target == "/v2/models/a%20b%3Fc%23d/infer"
