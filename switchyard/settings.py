"""Reads settings from environment variables; a variable that is unset or empty means the default."""

import logging
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

Default = TypeVar("Default", int, int | None)
DefaultNumber = TypeVar("DefaultNumber", float, float | None)

LOG_LEVELS = ("debug", "info", "warning", "error")
INSTANT = 0.001  # seconds; the least of a timeout, because 0 would end every request

_OURS = "SWITCHYARD_"
# What other programs of ours read, or how-tos put a key into: of every process that shares their environment.
_OF_OTHERS = {
    _OURS + name
    for name in (
        "ALERTS_TO",
        "DEVICE",
        "DEVICE_CAPABILITY",
        "DEVICE_MEMORY",
        "KEY",
        "MODEL_KEYS",
        "MODEL_SIGNATURES",
        "PORT",
        "PRELOAD",
        "RULES",
        "RUN",
        "SCRAPE_INTERVAL",
        "STATE_DIR",
        "TOKEN",
        "URL",
    )
}
# Kubernetes tells every pod of every Service, whatever that is called; and names this short are everybody's.
_OF_SERVICES = re.compile(r".*(_SERVICE_HOST|_SERVICE_PORT(_\w+)?|_PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)")
_SHORT = 6

logger = logging.getLogger(__name__)


class SettingsError(ValueError):
    """A setting is missing or cannot be used; the message names it, its value and what is allowed.

    A process that ends by it exits with ``exit_code``, by which local mode knows that another attempt would fail too.
    """

    exit_code = 2  # argparse's for a command line that cannot be used


class PortError(SettingsError):
    """A port cannot be bound, which may be over when another process ends."""

    exit_code = 1


def whole_number(
    env: Mapping[str, str], name: str, default: Default, *, least: int = 0, most: int | None = None
) -> int | Default:
    """Read the variable ``name`` as a whole number from ``least`` to ``most``.

    Raises:
        SettingsError: it is no such number.
    """
    text = env.get(name, "")
    if not text:
        return default
    if not text.isdecimal() or int(text) < least or (most is not None and int(text) > most):
        raise SettingsError(f"{name} is {text!r}; use a whole number {_range(least, most)}")
    return int(text)


def number(
    env: Mapping[str, str], name: str, default: DefaultNumber, *, least: float = 0.0, most: float | None = None
) -> float | DefaultNumber:
    """Read the variable ``name`` as a finite number from ``least`` to ``most``.

    Raises:
        SettingsError: it is no such number.
    """
    return _number(env, name, default, least, most, "number")


def seconds(
    env: Mapping[str, str], name: str, default: DefaultNumber, *, least: float = INSTANT
) -> float | DefaultNumber:
    """Read the variable ``name`` as a number of seconds of at least ``least``.

    Raises:
        SettingsError: it is no such number.
    """
    return _number(env, name, default, least, None, "number of seconds")


def switch(env: Mapping[str, str], name: str, default: bool = False) -> bool:
    """Read the variable ``name`` as true or false.

    Raises:
        SettingsError: it is neither.
    """
    return choice(env, name, "true" if default else "false", ("true", "false")) == "true"


def choice(env: Mapping[str, str], name: str, default: str, allowed: Sequence[str]) -> str:
    """Read the variable ``name`` as one of ``allowed``, in any case.

    Raises:
        SettingsError: it is none of them.
    """
    text = env.get(name, "").lower() or default
    if text not in allowed:
        raise SettingsError(f"{name} is {env[name]!r}; use {', '.join(allowed[:-1])} or {allowed[-1]}")
    return text


def log_level(env: Mapping[str, str], default: str = "info") -> str:
    """Read LOG_LEVEL.

    Raises:
        SettingsError: it is none of ``LOG_LEVELS``.
    """
    return choice(env, "LOG_LEVEL", default, LOG_LEVELS)


def renamed(env: Mapping[str, str], old: str, new: str) -> str:
    """Return the name to read a setting by: ``old``, with a warning, where that is set.

    ``old`` goes first because the shipped files set ``new`` to its default, so whoever sets ``old`` means it.
    """
    if not env.get(old):
        return new
    logger.warning("%s is now called %s; the old name will not be read in the next release", old, new)
    return old


def warn_of_misspelled(env: Mapping[str, str], *settings: type[Any]) -> None:
    """Log one line about variables that seem to be meant as settings and are none; the line has a key ``problem``.

    ``settings`` are the dataclasses whose fields this process reads, by the same names in capitals.
    """
    known = {field.name.upper() for one in settings for field in fields(one)}
    if found := list(_misspelled(env, known)):
        logger.warning("%s; see docs/reference", "; ".join(found), extra={"problem": "settings"})


def _misspelled(env: Mapping[str, str], known: set[str]) -> Iterator[str]:
    judges_ours = any(name.startswith(_OURS) for name in known)
    for name in sorted(env.keys() - known - _OF_OTHERS):
        if _OF_SERVICES.fullmatch(name) or ("://" in env[name] and name.endswith("_PORT")):
            continue
        if meant := next((one for one in sorted(known) if _is_near(name, one)), ""):
            yield f"{name} is no setting; did you mean {meant}?"
        elif judges_ours and name.startswith(_OURS):
            yield f"{name} is no setting"


def _is_near(name: str, other: str) -> bool:
    """Whether one is the other with a slip, or with two after the same first letter: SSL_CERT_FILE is no slip."""
    if min(len(name), len(other)) < _SHORT or abs(len(name) - len(other)) > 2:
        return False
    return _slips(name, other) <= (2 if name[0] == other[0] else 1)


def _slips(name: str, other: str) -> int:
    """Return how many letters differ, are missing or too many, or have changed places with their neighbor.

    Optimal string alignment: https://en.wikipedia.org/wiki/Damerau-Levenshtein_distance
    """
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(name, 1):
        earlier, before, row = before, row, [i]
        for j, there in enumerate(other, 1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != there))
            if i > 1 and j > 1 and letter == other[j - 2] and name[i - 2] == there:
                best = min(best, earlier[j - 2] + 1)
            row.append(best)
    return row[-1]


def _number(
    env: Mapping[str, str], name: str, default: DefaultNumber, least: float, most: float | None, kind: str
) -> float | DefaultNumber:
    text = env.get(name, "")
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and least <= value <= (math.inf if most is None else most)):
        raise SettingsError(f"{name} is {text!r}; use a {kind} {_range(least, most)}")
    return value


def _range(least: float, most: float | None) -> str:
    return f"of at least {least:g}" if most is None else f"from {least:g} to {most:g}"
