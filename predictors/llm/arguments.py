"""The command line of ``python -m predictors.llm``: KServe's flags, then any flag of vLLM's own server."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from switchyard.settings import SettingsError

# The gateway says whose turn it is (OpenAI's ``service_tier``); requests of one priority stay first come, first served.
SCHEDULING = ("--scheduling-policy", "priority")
# What a folder is judged by, where vLLM alone prefers Mistral's format; an operator's flags come later and win.
FORMATS = ("--config-format", "hf", "--load-format", "safetensors")


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What to serve and where; ``vllm`` holds all other flags, for vLLM's own parser."""

    model_name: str
    model_dir: Path
    http_port: int
    grpc_port: int
    vllm: tuple[str, ...]

    def check_served(self, model: str, tokenizer: str, *, wanted_tokenizer: str | None) -> None:
        """Check that what vLLM loads is the folder; ``wanted_tokenizer`` is an operator's, None for the folder's.

        Raises:
            SettingsError: vLLM has followed a file of the folder to another model.
        """
        folder = str(self.model_dir)
        for part, found, wanted in (("model", model, folder), ("tokenizer", tokenizer, wanted_tokenizer or folder)):
            if found != wanted:
                raise SettingsError(
                    f"vLLM would load the {part} {found} in place of {wanted}, because a file of {folder} names it, "
                    "such as speculators_config in config.json: remove that, or serve the other folder itself."
                )


def parse(argv: Sequence[str], model_repository: str) -> Arguments:
    """Parse the command line; exit with a usage message when it is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m predictors.llm",
        description="Serves one language model: KServe V2 (REST, gRPC) and, under /openai, vLLM's own routes.",
        epilog="Any other flag is vLLM's own (--max-model-len, --dtype, --tensor-parallel-size, --enable-lora, …).",
        allow_abbrev=False,
    )
    parser.add_argument("--model_name", required=True, help="the name that clients use; the InferenceService's name")
    parser.add_argument("--model_dir", help="folder with the weights; default: $MODEL_REPOSITORY/<model name>")
    parser.add_argument("--http_port", type=int, default=8080)
    parser.add_argument("--grpc_port", type=int, default=0, help="a second port that takes the same; 0 for none")
    known, rest = parser.parse_known_args(list(argv))
    model_dir = Path(known.model_dir or Path(model_repository) / known.model_name)
    if not (model_dir / "config.json").is_file():
        locked = (model_dir / "weights.lock").is_file()
        remedy = "`make setup` fetches what its weights.lock names" if locked else "it is not in Hugging Face layout"
        parser.error(f"{model_dir} holds no config.json: {remedy}")
    return Arguments(
        model_name=known.model_name,
        model_dir=model_dir,
        http_port=known.http_port,
        grpc_port=known.grpc_port,
        vllm=tuple(rest),
    )
