import pytest

from predictors.vision.arguments import parse


def test_tritons_addresses_are_those_of_the_pod_unless_given() -> None:
    given = parse(["--model_name=vision", "--triton_http=127.0.0.1:7000"])
    assert (given.triton_http, given.triton_grpc, given.triton_metrics) == (
        "127.0.0.1:7000",
        "127.0.0.1:9001",
        "127.0.0.1:9002",
    )
    assert (given.http_port, given.grpc_port) == (8080, 0)


@pytest.mark.parametrize("address", ["9000", "localhost", "localhost:", ":9000", "localhost:99999"])
def test_an_address_without_host_or_port_is_rejected(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--model_name=vision", f"--triton_http={address}"])
    assert "is not host:port" in capsys.readouterr().err


def test_a_flag_of_nobodys_is_rejected() -> None:
    with pytest.raises(SystemExit):
        parse(["--model_name=vision", "--model_dir=/mnt/models"])
