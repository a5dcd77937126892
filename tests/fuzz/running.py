"""Runs one target under atheris in this process: ``python -m tests.fuzz.running <target> <libFuzzer's arguments>``."""

import logging
import random
import sys

import atheris

# Our code, and what it leans on that is Python too; libraries in C are blind spots of the coverage, not of the checks.
with atheris.instrument_imports(include=["switchyard", "predictors", "picture", "PIL", "python_multipart", "hpack"]):
    from tests.fuzz.inputs import load, mutate

    target = load(sys.argv[1])

_OWN = 0.5  # how often a change is ours; the others are libFuzzer's


def _mutator(data: bytes, longest: int, seed: int) -> bytes:
    dice = random.Random(seed)
    if dice.random() < _OWN:
        return mutate(target, dice, data)[:longest]
    changed: bytes = atheris.Mutate(data, longest)
    return changed


def main() -> None:
    logging.disable()
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target.check, custom_mutator=_mutator)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
