"""Trains the classifier's files; needs the development packages.

``python -m predictors.complexity.train --labels DIR`` writes the prior from published label sets;
``python -m predictors.complexity.train --local FILE`` writes a domain's model on top of it from own labels.
"""

import argparse
import sys
from pathlib import Path

import orjson

from predictors.complexity.classifier import files
from predictors.complexity.classifier.scorers import PRIOR
from predictors.complexity.training import labels
from predictors.complexity.training.fitting import Rows, fit_domain
from predictors.complexity.training.overlap import distinct
from predictors.complexity.training.safeguard import fit_prior

FOLDER = Path("model-repository/complexity")
SEED = 7
LEAST = 100


def train_prior(folder: Path, out: Path, seed: int) -> str:
    """Fit the prior on the sets in ``folder``; return a note on its labels and its figures.

    Raises:
        LabelError: there is no set.
    """
    sets = [Rows.of(one) for one in distinct(labels.published(folder))]
    note = ", ".join(f"{rows.labels.name} {len(rows)}" for rows in sets) + f"; seed {seed}"
    prior, held_out = fit_prior(sets, seed)
    files.save(prior, out, note, held_out)
    return f"{note}\n" + orjson.dumps(held_out, option=orjson.OPT_INDENT_2).decode()


def train_domain(file: Path, prior: Path, out: Path, seed: int) -> str:
    """Fit a domain's model on own labels; return a note on its labels.

    Raises:
        LabelError: the file cannot be used, or holds fewer than ``LEAST`` labels.
        ModelFileError: the prior cannot be used.
    """
    own = labels.local(file)
    if len(own) < LEAST:
        raise labels.LabelError(f"{file} holds {len(own)} labels; collect at least {LEAST}: fewer are not enough")
    note = f"{own.name} {len(own)}; seed {seed}"
    files.save(fit_domain(Rows.of(own), files.load(prior), seed), out, note)
    return note


def main() -> None:
    """Parse the command line and write one file."""
    parser = argparse.ArgumentParser(prog="python -m predictors.complexity.train", allow_abbrev=False)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--labels", type=Path, help="folder of published label sets, for a prior")
    source.add_argument("--local", type=Path, help="JSON lines of own labels, for a domain's model")
    parser.add_argument("--prior", type=Path, default=FOLDER / f"{PRIOR}.safetensors", help="what a domain stands on")
    parser.add_argument("--out", type=Path, help="the file to write; default below model-repository/complexity")
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    out = options.out or FOLDER / f"{options.local.stem if options.local else PRIOR}.safetensors"
    try:
        if options.local:
            note = train_domain(options.local, options.prior, out, options.seed)
        else:
            note = train_prior(options.labels, out, options.seed)
    except (labels.LabelError, files.ModelFileError, OSError) as err:
        sys.exit(f"error: {err}")
    print(f"{out}: {out.stat().st_size} bytes from {note}")


if __name__ == "__main__":
    main()
