"""The routes of vLLM's and KServe's own applications as JSON, ``python -m tests.live.engine_routes``.

A process of its own, because importing vLLM takes long and changes the process.
"""

import json
from pathlib import Path
from typing import Any

from kserve.model_server import app as kserve_app
from kserve.protocol.rest.v1_endpoints import register_v1_endpoints
from kserve.protocol.rest.v2_endpoints import register_v2_endpoints
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.entrypoints.launchers.app import build_app
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.utils.argparse_utils import FlexibleArgumentParser

MODELS = {  # one of each kind: what it is to do, and its folder
    "llm": (("generate",), "chat-fast"),
    "embedding": (("embed", "token_embed"), "embed"),
}
FOLDER = Path(__file__).parents[2] / "model-repository" / "llm"


def routes(app: Any) -> list[str]:
    """Method and path of every route, but FastAPI's own pages."""
    own = ("/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc")
    found = {(method, route.path) for route in app.routes for method in getattr(route, "methods", None) or ()}
    return sorted(f"{method} {path}" for method, path in found if method != "HEAD" and path not in own)


if __name__ == "__main__":
    found = {}
    for kind, (tasks, name) in MODELS.items():
        options = make_arg_parser(FlexibleArgumentParser()).parse_args(["--model", str(FOLDER / name)])
        config = AsyncEngineArgs.from_cli_args(options).create_model_config()
        found[kind] = routes(build_app(options, tasks, config))
    register_v1_endpoints(kserve_app, None, None)  # type: ignore[arg-type, unused-ignore]
    register_v2_endpoints(kserve_app, None, None)  # type: ignore[arg-type, unused-ignore]
    print(json.dumps({**found, "kserve": routes(kserve_app)}))
