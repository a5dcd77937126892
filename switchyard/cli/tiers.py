"""``switchyard route``: what the classifier makes of prompts. The platform imports no predictor, so it runs one."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Which tier a prompt goes to, and why.", no_args_is_help=True, rich_markup_mode=None)

Folder = Annotated[Path, typer.Option(help="Folder of the classifier's files.")]
Scorer = Annotated[str, typer.Option(help="learned, heuristic or length.")]
Domain = Annotated[str, typer.Option(help="Use <domain>.safetensors beside the prior.")]

_FOLDER = Path("model-repository/complexity")


@app.command()
def explain(
    prompt: Annotated[str, typer.Argument(help="What a user would ask.")],
    share: Annotated[float, typer.Option(min=0, max=1, help="Part of the requests that goes to reasoning.")] = 0.35,
    model_dir: Folder = _FOLDER,
    scorer: Scorer = "learned",
    domain: Domain = "",
) -> None:
    """Print a prompt's score, what moved it, and its tier."""
    _become("explain", prompt, f"--share={share}", model_dir, scorer, domain)


@app.command()
def score(
    file: Annotated[
        Path, typer.Argument(help='JSON lines: {"prompt": "…"}, a list of turns as prompt, or chat bodies.')
    ],
    model_dir: Folder = _FOLDER,
    scorer: Scorer = "learned",
    domain: Domain = "",
) -> None:
    """Print one score per line of a file, to judge the classifier on labels of your own."""
    _become("score", str(file), "--share=0", model_dir, scorer, domain)


def _become(what: str, of: str, share: str, model_dir: Path, scorer: str, domain: str) -> None:
    module = (sys.executable, "-m", "predictors.complexity.explain")
    options = (f"--model_dir={model_dir}", f"--scorer={scorer}", f"--domain={domain}", share)
    os.execv(sys.executable, (*module, *options, what, "--", of))  # noqa: S606 - our own module, no shell
