"""What is derived from the facts of a language or embedding model."""

from typing import Any

import pytest
import yaml

from switchyard.catalog import describe
from switchyard.repository.service import DERIVED_LABEL, Place, UnservableError, derived, files
from switchyard.repository.verdict import Facts, Kind, Memory

GIB = 1024**3


def facts(kind: Kind = "llm", **fields: Any) -> Facts:
    known: dict[str, Any] = {"memory": Memory(weights=4_303_248), "bytes": 4_303_248, "context_length": 2048}
    return Facts(format="huggingface", kind=kind, **(known | fields))


def test_a_language_model_is_listed_by_its_name_with_its_context_length() -> None:
    found = facts(accepts_images=True, tool_parser="mistral")
    document = derived("my-chat", found, Place(namespace="apart", claim="published"))

    listed = describe(document, url="")
    assert (listed.name, listed.kind, listed.context_length, listed.accepts_images) == ("my-chat", "llm", 2048, True)
    assert document["metadata"]["namespace"] == "apart"
    assert document["metadata"]["labels"][DERIVED_LABEL] == "llm"
    model = document["spec"]["predictor"]["model"]
    assert model["storageUri"] == "pvc://published/llm/my-chat"
    assert model["args"] == ["--max-model-len=2048", "--enable-auto-tool-choice", "--tool-call-parser=mistral"]


def test_a_model_whose_calls_no_parser_reads_gets_none() -> None:
    assert derived("my-chat", facts())["spec"]["predictor"]["model"]["args"] == ["--max-model-len=2048"]


def test_an_embedding_model_pools_and_calls_no_tools() -> None:
    document = derived("my-embed", facts("embedding", context_length=256))

    assert describe(document, url="").kind == "embedding"
    assert document["spec"]["predictor"]["model"]["args"] == ["--max-model-len=256", "--runner=pooling"]
    assert "DEFAULT_TEMPERATURE" not in files("my-embed", facts("embedding"))["settings.env"]


def test_a_model_that_says_no_context_length_leaves_it_to_the_engine() -> None:
    document = derived("my-chat", facts(context_length=None))

    assert describe(document, url="").context_length is None
    assert not [flag for flag in document["spec"]["predictor"]["model"]["args"] if "max-model-len" in flag]


def test_a_model_that_the_runtimes_memory_suffices_for_asks_for_none() -> None:
    assert "resources" not in derived("my-chat", facts())["spec"]["predictor"]["model"]


def test_a_larger_model_asks_for_its_memory_and_a_cache_that_holds_its_context() -> None:
    large = facts(memory=Memory(weights=6 * GIB, kv_cache=GIB, overhead=GIB // 2))

    model = derived("large", large, Place(gpus=1))["spec"]["predictor"]["model"]

    assert model["resources"] == {"requests": {"memory": "8Gi"}, "limits": {"memory": "14Gi", "nvidia.com/gpu": "1"}}
    assert not [flag for flag in model["args"] if "kv-cache" in flag]  # it has the GPU for itself
    for given, flags in ((GIB // 4, [f"--kv-cache-memory-bytes={GIB}"]), (2 * GIB, [])):
        args = derived("large", large, Place(kv_cache=given))["spec"]["predictor"]["model"]["args"]
        assert [flag for flag in args if "kv-cache" in flag] == flags


def test_the_files_are_the_same_service_with_its_settings_beside_it() -> None:
    written = files("my-chat", facts())

    service = yaml.safe_load(written["inferenceservice.yaml"])
    spec = service["spec"]["predictor"]
    assert spec["model"].pop("envFrom") == [{"configMapRef": {"name": "my-chat-settings"}}]
    assert spec == derived("my-chat", facts())["spec"]["predictor"]
    assert DERIVED_LABEL not in service["metadata"]["labels"]  # it is a person's from now on
    assert written.keys() == {"inferenceservice.yaml", "kustomization.yaml", "settings.env"}


def test_a_vision_model_has_no_service_of_its_own() -> None:
    with pytest.raises(UnservableError, match="digits is a vision model"):
        derived("digits", facts("vision"))
