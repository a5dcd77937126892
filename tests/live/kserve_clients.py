"""kserve's own clients as a program, ``python -m tests.live.kserve_clients URL GRPC_TARGET MODEL``.

A process of its own, because kserve and tritonclient register the same protobuf messages and so exclude each other.
"""

import asyncio
import json
import sys

import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, InferResponse, RESTConfig


def request(model: str) -> InferRequest:
    asked = InferInput("text_input", [1], "BYTES")
    asked.set_data_from_numpy(np.array([b"Hello"], dtype=np.object_), binary_data=False)
    return InferRequest(model_name=model, infer_inputs=[asked], parameters={"temperature": 0, "max_tokens": 16})


def text_of(answer: InferResponse) -> str:
    (text,) = next(output for output in answer.outputs if output.name == "text_output").as_numpy().tolist()
    return text.decode() if isinstance(text, bytes) else str(text)


async def by_rest(url: str, model: str) -> dict[str, object]:
    first = InferenceRESTClient(RESTConfig(protocol="v1", retries=0))
    client = InferenceRESTClient(RESTConfig(protocol="v2", retries=0))
    try:
        return {
            "live": await client.is_server_live(url),
            "ready": await client.is_server_ready(url),
            "model ready": await client.is_model_ready(url, model) and await first.is_model_ready(url, model),
            "text": text_of(await client.infer(url, request(model), model_name=model)),
        }
    finally:
        await first.close()
        await client.close()


async def by_grpc(target: str, model: str) -> dict[str, object]:
    client = InferenceGRPCClient(target, retries=0)
    try:
        return {
            "live": await client.is_server_live(),
            "ready": await client.is_server_ready(),
            "model ready": await client.is_model_ready(model),
            "text": text_of(await client.infer(request(model))),
        }
    finally:
        await client.close()


async def main(url: str, target: str, model: str) -> None:
    print(json.dumps({"rest": await by_rest(url, model), "grpc": await by_grpc(target, model)}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
