import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.local.errors import LocalError
from switchyard.local.plan import arguments

METADATA = {"name": "chat", "namespace": "lab", "labels": {"tier": "fast"}, "annotations": {"a.b/c": "long"}}

PORT_FLAGS = ("--http_port", "--http-port", "--port", "--grpc_port", "--grpc-port")


def test_kserve_placeholders_are_filled() -> None:
    text = "{{.Name}} {{ .Namespace }} {{.Labels.tier}} {{.Annotations.a.b/c}}"
    assert arguments.fill_placeholders(text, METADATA) == "chat lab fast long"


@pytest.mark.parametrize("text", ["{{.Labels.absent}}", "{{.Spec}}", "{{ if .Name }}"])
def test_a_placeholder_without_a_value_is_an_error(text: str) -> None:
    with pytest.raises(LocalError, match=r"absent|only"):
        arguments.fill_placeholders(text, METADATA)


def test_references_to_variables_are_expanded_as_in_kubernetes() -> None:
    assert arguments.expand_references("$(A) $(B) $$(A) $A", {"A": "1"}) == "1 $(B) $(A) $A"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/mnt/models", "/here"),
        ("--model_dir=/mnt/models/sub", "--model_dir=/here/sub"),
        ("a:/mnt/models:b", "a:/here:b"),
        ("/mnt/models2", "/mnt/models2"),
        ("/data/mnt/models", "/data/mnt/models"),
        ("/mnt/models/cache/x", "/elsewhere/x"),
    ],
)
def test_mount_paths_are_replaced_at_path_boundaries(text: str, expected: str) -> None:
    mounts = {"/mnt/models": "/here", "/mnt/models/cache": "/elsewhere"}
    assert arguments.replace_paths(text, mounts) == expected


def test_ports_and_hosts_are_bound_in_both_spellings() -> None:
    argv = ("python", "--http_port=8080", "--grpc_port", "8081", "--host=0.0.0.0", "--model_name=x")
    assert arguments.bind(argv, {8080: 1, 8081: 2}) == (
        "python",
        "--http_port=1",
        "--grpc_port",
        "2",
        "--host=127.0.0.1",
        "--model_name=x",
    )


def test_addresses_within_the_pod_follow_its_ports() -> None:
    argv = ("--triton_grpc=127.0.0.1:9001", "--url", "http://localhost:9001/x", "127.0.0.1:9999", "10.127.0.0.1:9001")
    assert arguments.bind(argv, {9001: 4}) == (
        "--triton_grpc=127.0.0.1:4",
        "--url",
        "http://127.0.0.1:4/x",
        "127.0.0.1:9999",
        "10.127.0.0.1:9001",
    )


def test_every_port_of_a_command_line_is_found() -> None:
    argv = ("tritonserver", "--http-port=9000", "--grpc-port", "9001", "--metrics-port=9002", "--x=1")
    assert arguments.ports_of(argv) == {9000, 9001, 9002}


words = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)
others = st.one_of(words, words.map(lambda word: f"--x-{word}"), words.map(lambda word: f"--x-{word}=1"))
ports = st.integers(1, 65535)


@given(st.lists(others), st.sampled_from(PORT_FLAGS), ports, st.booleans(), st.lists(others), ports)
def test_binding_changes_the_port_and_nothing_else(
    before: list[str], flag: str, old: int, joined: bool, after: list[str], new: int
) -> None:
    middle = [f"{flag}={old}"] if joined else [flag, str(old)]
    bound = arguments.bind([*before, *middle, *after], {old: new})
    assert list(bound[: len(before)]) == before
    assert list(bound[len(before) + len(middle) :]) == after
    assert arguments.ports_of(bound) == {new}


def test_a_port_that_is_none_is_an_error() -> None:
    with pytest.raises(LocalError, match="--http_port is 'eighty'"):
        arguments.port_of(["--http_port=eighty"])


def test_the_kv_cache_that_vllm_gets_is_what_its_last_flag_says() -> None:
    assert arguments.kv_cache_bytes(["--kv-cache-memory-bytes=1", "--port=2", "--kv-cache-memory-bytes=3"]) == 3
    assert arguments.kv_cache_bytes(["--kv-cache-memory-bytes=many"]) is None
    assert arguments.kv_cache_bytes([]) is None
