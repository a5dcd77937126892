"""Installed distributions as entries of a layer: those that a lock names, in the versions that it names."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path, PurePosixPath

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.images.interpreter import SITE
from tools.images.oci import Entry, ImageError

_PINNED = re.compile(r"^[A-Za-z0-9][^\\#\n]*==[^\\#\n]*", re.MULTILINE)  # its hashes and reasons follow
# Where installers put what is not for `site-packages`: commands point to the machine's own interpreter.
_LEFT_OUT = ("usr/local/bin/", "usr/local/include/", "usr/local/share/man/", "usr/local/etc/")
_HEADERS = (".a", ".cu", ".cuh", ".h", ".hpp", ".inl")  # only compilers read them, and the image has none


@dataclass(frozen=True, kw_only=True, slots=True)
class Package:
    """An installed distribution."""

    name: str
    version: str
    installed: Distribution

    @property
    def license(self) -> str:
        """Its SPDX expression, empty if it has none."""
        return str(self.installed.metadata.json.get("license_expression", ""))

    def files(self) -> Iterator[Entry]:
        """Return the package's files that belong in an image."""
        return _files(self.installed)


def pinned(lock: str) -> dict[str, str]:
    """Return the versions that a lock names for this interpreter, by normalized name."""
    found = [Requirement(line) for line in _PINNED.findall(lock)]
    here = [one for one in found if one.marker is None or one.marker.evaluate()]
    return {canonicalize_name(one.name): next(iter(one.specifier)).version for one in here}


def packages(lock: Path, site: Path) -> list[Package]:
    """Return the distributions that ``lock`` names, from the environment's folder ``site``.

    Raises:
        ImageError: a distribution is missing, or has another version.
    """
    found: dict[str, Distribution] = {
        canonicalize_name(one.metadata["Name"]): one for one in distributions(path=[str(site)])
    }
    wanted = pinned(lock.read_text())
    if wrong := [name for name, version in wanted.items() if name not in found or found[name].version != version]:
        have = ", ".join(f"{name} {found[name].version if name in found else 'absent'}" for name in wrong[:5])
        raise ImageError(f"{site} is not as {lock.name} says ({have}): run `make setup`")
    return [Package(name=name, version=wanted[name], installed=found[name]) for name in sorted(wanted)]


def _files(found: Distribution) -> Iterator[Entry]:
    kept = [file for file in found.files or () if _wanted(file)]
    for file in kept:
        source = Path(str(found.locate_file(file)))
        if file.name == "RECORD" and file.parent.name.endswith(".dist-info"):
            # Says which modules are whose, which some libraries ask; of files that are here, and the same everywhere.
            yield Entry(path=_place(file), content="".join(f"{one},,\n" for one in kept).encode())
        elif source.is_file():
            yield Entry(path=_place(file), source=source)


def _wanted(file: PurePosixPath) -> bool:
    if file.suffix in (".pyc", *_HEADERS) or _place(file).startswith(_LEFT_OUT):
        return False
    return not (file.parent.name.endswith(".dist-info") and file.name in ("INSTALLER", "REQUESTED", "direct_url.json"))


def _place(file: PurePosixPath) -> str:
    parts: list[str] = []
    for part in (PurePosixPath(SITE) / file).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def fingerprint(chosen: Sequence[Package]) -> str:
    """Return what distinguishes one set of packages from another."""
    return json.dumps([(one.name, one.version) for one in chosen])
