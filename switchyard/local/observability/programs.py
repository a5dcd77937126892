"""The programs that observe a run: those that are built here, or a package manager's."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from switchyard.local.errors import LocalError

BUILT = Path("build/observability/bin")  # where `make observability` puts them
_CHECKOUT = Path(__file__).parents[3]


@dataclass(frozen=True, kw_only=True, slots=True)
class Programs:
    """The paths of the programs."""

    prometheus: str
    alertmanager: str
    collector: str
    jaeger: str


# As Debian calls them, then as their own releases do.
_NAMES = {
    "prometheus": ("prometheus",),
    "alertmanager": ("prometheus-alertmanager", "alertmanager"),
    "collector": ("otelcol",),
    "jaeger": ("jaeger",),
}
_REMEDIES = {
    "prometheus": "apt-get install prometheus",
    "alertmanager": "apt-get install prometheus-alertmanager",
    "collector": "make observability",
    "jaeger": "make observability",
}


def find(environ: Mapping[str, str], built: Path = _CHECKOUT / BUILT) -> Programs:
    """Return the programs, those in ``built`` before those on PATH.

    Raises:
        LocalError: one is missing; the message says how to get it.
    """
    path = os.pathsep.join((str(built), environ.get("PATH", os.defpath)))
    found = {field.name: _which(_NAMES[field.name], path) for field in fields(Programs)}
    if missing := [name for name, program in found.items() if program is None]:
        remedies = dict.fromkeys(f"`{_REMEDIES[name]}`" for name in missing)
        raise LocalError(f"--observe needs {', '.join(missing)}: run {' and '.join(remedies)}, or leave it out")
    return Programs(**{name: program for name, program in found.items() if program is not None})


def _which(names: tuple[str, ...], path: str) -> str | None:
    return next((found for name in names if (found := shutil.which(name, path=path))), None)
