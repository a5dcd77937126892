"""Logs as vLLM, Triton, argparse and the kernel leave them, and the sentence that says why."""

import json

import pytest

from switchyard.local.processes.reasons import is_lasting, reason

FRAMES = 'Traceback (most recent call last):\n  File "core.py", line 1482, in run\n    load()\n    ^^^^^^\n'
INFO = json.dumps({"level": "info", "message": "Resolved architecture: LlamaForCausalLM"}) + "\n"
SHAPES = "RuntimeError: The size of tensor a (64) must match the size of tensor b (128)"
POINTER = (
    "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore': 1}"
)
PYDANTIC = (
    "1 validation error for ModelConfig\n  Value error, User-specified max_model_len (9) is too great."
    " [type=value_error, input_value=ArgsKwargs((), {'model': ..}), input_type=ArgsKwargs]\n"
    "    For further information visit https://errors.pydantic.dev/2.14/v/value_error\n"
)
FIELDS = (
    "pydantic_core._pydantic_core.ValidationError: 2 validation errors for Settings\nport\n"
    "  Input should be a valid integer [type=int_type, input_value='x', input_type=str]\n"
    "    For further information visit https://errors.pydantic.dev/2.14/v/int_type\nhost.name\n"
    "  Field required [type=missing, input_value={}, input_type=dict]\n"
    "    For further information visit https://errors.pydantic.dev/2.14/v/missing\n"
)

# name: log, exit code, sentence, whether another attempt would fail the same way
CASES = {
    "a sentence": (INFO + "no engine\n", 3, "no engine", False),
    "nothing": ("", 1, "", False),
    "a log record": (INFO, 7, "Resolved architecture: LlamaForCausalLM", False),
    "an exception before a shutdown": (
        f"{FRAMES}TypeError: tool_parser:'nope' is not registered\n{INFO}{INFO}",
        1,
        "TypeError: tool_parser:'nope' is not registered",
        True,
    ),
    "an engine's exception, then one that points at it": (
        json.dumps({"level": "error", "message": "EngineCore failed to start.", "traceback": FRAMES + SHAPES})
        + f"\nProcess EngineCore:\n{FRAMES}{SHAPES}\n\rLoading shards:   0% Completed | 0/1 [00:00<?, ?it/s]\n"
        + f"{FRAMES}{POINTER}\n",
        1,
        SHAPES,
        False,
    ),
    "only the pointer": (f"{FRAMES}{POINTER}\n", 1, POINTER, False),
    "pydantic's error of flags": (
        f"vLLM cannot serve it: {PYDANTIC}",
        2,
        "vLLM cannot serve it: User-specified max_model_len (9) is too great.",
        True,
    ),
    "pydantic's error of fields": (
        FRAMES + FIELDS,
        1,
        "ValidationError: port Input should be a valid integer host.name Field required",
        True,
    ),
    "argparse's usage": (
        "usage: python -m predictors.llm [-h]\n    [--model_dir X]\npython -m predictors.llm: error: no config.json\n",
        2,
        "no config.json",
        True,
    ),
    "flags after an exception that was survived": (f"{FRAMES}OSError: x\nbad flag\n", 2, "bad flag", True),
    "a logged exception": (
        json.dumps({"level": "error", "message": "cannot load", "traceback": f"{FRAMES}KeyError: 'w'"}),
        1,
        "cannot load (KeyError: 'w')",
        True,
    ),
    "a chain": (
        f"{FRAMES}json.decoder.JSONDecodeError: Expecting value\n\nThe above exception was the direct cause of the "
        f"following exception:\n\n{FRAMES}OSError: config.json cannot be read\n",
        1,
        "OSError: config.json cannot be read",
        False,
    ),
    "memory": (f"{FRAMES}ValueError: No available memory for the cache blocks.\n", 1, None, False),
    "a killed process": (f"{FRAMES}ValueError: survived\n", -9, "ValueError: survived", False),
    "Triton": (
        'I1128 23:08:07.360281 11775 grpc_server.cc:2558] "Started"\n'
        'E1128 23:08:08.110483 11775 server.cc:1460] "failed to open the repository"\n'
        "W1128 23:13:36.214000 26883 torch/utils/flop_counter.py:29] triton not found\n",
        1,
        "failed to open the repository",
        False,
    ),
    "a C++ exception": (
        "terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc\n",
        -6,
        "terminate called after throwing an instance of 'std::bad_alloc' what(): std::bad_alloc",
        False,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_reason_is_the_sentence_that_says_why(name: str) -> None:
    log, code, sentence, lasting = CASES[name]
    said = reason(log, code)
    assert said == (said if sentence is None else sentence)
    assert is_lasting(code, said) is lasting


def test_a_reason_is_bounded_and_says_that_it_is_cut() -> None:
    said = reason(f"{FRAMES}ValueError: {'architecture ' * 100}\n", 1)
    assert (len(said), said[-1]) == (300, "…")


@pytest.mark.parametrize(
    ("message", "fix", "lasting"),
    [
        (
            "ValueError: Following weights were not initialized from checkpoint: {'model.norm.weight'}",
            "put config.json and *.safetensors of one model into its folder",
            True,
        ),
        (
            "ValueError: There is no module or parameter named 'model.x' in LlamaForCausalLM. The available parameters",
            "put config.json and *.safetensors of one model into its folder",
            True,
        ),
        (
            "ValueError: Free memory on device cuda:0 (1.0/139.0 GiB) on startup is less than desired GPU memory "
            "utilization (0.9, 125.1 GiB). Decrease GPU memory utilization or reduce GPU memory used by other "
            "processes.",
            "unload other models",
            False,
        ),
        (
            "ValueError: To serve at least one request with the model's max seq len (131072), (16.0 GiB KV cache is "
            "needed, which is larger than the available KV cache memory (1.0 GiB). Based on the available memory",
            "a smaller --max-model-len",
            False,
        ),
        ("ValueError: Unknown quantization method: abc. Must be one of ['awq'].", "give it unquantized", True),
        (
            "ValueError: The quantization method fp8 is not supported for the current GPU. Minimum capability: 89. "
            "Current capability: 75.",
            "give it unquantized",
            True,
        ),
        (
            "Exception: data did not match any variant of untagged enum ModelWrapper at line 12 column 3",
            "put tokenizer.json and tokenizer_config.json of the same model",
            False,
        ),
    ],
)
def test_what_an_engine_says_most_often_of_a_failed_start_has_a_fix(message: str, fix: str, lasting: bool) -> None:
    said = reason(f"{FRAMES}{message}\n", 1)
    assert said.endswith(f": {message}")
    assert fix in said.removesuffix(message)
    assert is_lasting(1, said) is lasting
