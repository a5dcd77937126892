"""Who may change a model's configuration with a load: an operator, by a key or on this machine."""

import json
from pathlib import Path

import grpc
import pytest
from tritonclient.grpc import service_pb2

from tests.switchyard.gateway.conftest import gateway
from tests.switchyard.gateway.tenants.access import KEYS, tenants
from tests.switchyard.gateway.test_v2 import infer, rpc_gateway

LOAD = "/v2/repository/models/ocr/load"
OVERRIDE = {"parameters": {"config": json.dumps({"max_batch_size": 1})}}


def over_grpc() -> service_pb2.RepositoryModelLoadRequest:
    request = service_pb2.RepositoryModelLoadRequest(model_name="ocr")
    request.parameters["config"].string_param = OVERRIDE["parameters"]["config"]
    return request


async def test_an_open_gateway_loads_models_as_their_folders_say_and_no_otherwise(tmp_path: Path) -> None:
    async with rpc_gateway(tmp_path, infer, switchyard_allow_open=True) as rpc:
        rejected = await rpc.bench.http.post(LOAD, json=OVERRIDE)
        assert (rejected.status_code, "for an operator" in rejected.text) == (403, True)
        with pytest.raises(grpc.RpcError, match="for an operator"):
            await rpc.stub.RepositoryModelLoad(over_grpc())
        assert rpc.bench.model.calls == []
        for body in (b"", b"{}", b'{"parameters": {}}'):
            headers = {"content-type": "application/json"}
            assert (await rpc.bench.http.post(LOAD, content=body, headers=headers)).status_code == 200
        assert (await rpc.bench.http.post(LOAD, content=b"{", headers=headers)).status_code == 400
        await rpc.stub.RepositoryModelLoad(service_pb2.RepositoryModelLoadRequest(model_name="ocr"))


async def test_a_gateway_of_this_machine_and_an_admin_may_send_a_config(tmp_path: Path) -> None:
    async with gateway(tmp_path, infer) as bench:
        assert (await bench.http.post(LOAD, json=OVERRIDE)).status_code == 200
        assert json.loads(bench.model.calls[-1].body) == OVERRIDE
    async with gateway(tmp_path, infer, tenants=await tenants(tmp_path)) as bench:
        for name, status in (("admin", 200), ("acme", 403)):
            headers = {"authorization": f"Bearer {KEYS[name]}"}
            assert (await bench.http.post(LOAD, json=OVERRIDE, headers=headers)).status_code == status
