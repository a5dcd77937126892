"""The part of Debian that Python programs need, unpacked from its packages, without a package manager.

Nothing of a package is executed, so what their scripts would make (users, certificate bundle) is made here.
"""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.images.oci import Entry, ImageError
from tools.images.tree import walk

BASE = (
    "base-files",
    "ca-certificates",
    "libbz2-1.0",
    "libc6",
    "libcrypt1",
    "libexpat1",
    "libffi8",
    "libgcc-s1",
    "liblzma5",
    "libncursesw6",
    "libreadline8",
    "libsqlite3-0",
    "libssl3",
    "libstdc++6",
    "libtinfo6",
    "libuuid1",
    "media-types",
    "netbase",
    "tzdata",
    "zlib1g",
)
# vLLM on CPU is linked with libnuma, and asks `lscpu` through a shell which cores there are.
FOR_VLLM = (*BASE, "dash", "libnuma1", "libsmartcols1", "util-linux")

_ONLY = {"util-linux": ("usr/bin/lscpu",)}
_LEFT_OUT = (
    "usr/share/man",
    "usr/share/locale",
    "usr/share/lintian",
    "usr/share/bug",
    "usr/share/gcc",
    "usr/share/gdb",
)
_MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")  # Debian keeps them below /usr; old paths are links
_USERS = b"root:x:0:0:root:/root:/bin/false\nnonroot:x:65532:65532::/tmp:/bin/false\n"
_CERTIFICATES = "usr/share/ca-certificates/mozilla"


@dataclass(frozen=True, kw_only=True, slots=True)
class Deb:
    """A downloaded Debian package."""

    name: str
    version: str
    path: Path


def download(names: Sequence[str], folder: Path) -> list[Deb]:
    """Fetch the packages of this machine's release with its package manager; they are kept in ``folder``.

    Raises:
        ImageError: this is not Debian, or a package cannot be downloaded.
    """
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise ImageError(
            "images take Debian's libraries by apt-get and dpkg-deb, which are not here: use the Dockerfile"
        )
    folder.mkdir(parents=True, exist_ok=True)
    wanted = _candidates(names)
    missing = [f"{name}={version}" for name, version in wanted.items() if not _find(folder, name, version)]
    if missing:
        _run("apt-get", "-o", "APT::Sandbox::User=root", "download", *missing, cwd=folder)
    debs = []
    for name, version in wanted.items():
        path = _find(folder, name, version)
        if path is None:
            raise ImageError(f"apt-get downloaded no {name} {version} into {folder}")
        debs.append(Deb(name=name, version=version, path=path))
    return debs


def entries(debs: Sequence[Deb], folder: Path, *, users: bool = True) -> Iterator[Entry]:
    """List the content of ``debs``, unpacked below ``folder``, and with ``users`` what their scripts would make."""
    certificates = b""
    for deb in debs:
        root = folder / f"{deb.name}_{deb.version}"
        if not root.exists():
            staged = root.with_name(root.name + ".new")
            shutil.rmtree(staged, ignore_errors=True)
            _run("dpkg-deb", "--extract", str(deb.path), str(staged), cwd=folder)
            staged.rename(root)
        only = _ONLY.get(deb.name)
        for entry in walk(root, ""):
            path = _merged(entry.path)
            if only and path not in only and "/doc/" not in path:
                continue
            if not path.startswith(_LEFT_OUT) and not _is_documentation(path):
                yield _moved(entry, path)
        for certificate in sorted((root / _CERTIFICATES).glob("*.crt")):
            certificates += certificate.read_bytes()
    names = {deb.name for deb in debs}
    if "dash" in names:
        yield Entry(path="usr/bin/sh", link="dash")
    if not users:
        return
    yield from (Entry(path=name, link=f"usr/{name}") for name in ("bin", "sbin", "lib", "lib64"))
    if certificates:
        yield Entry(path="etc/ssl/certs/ca-certificates.crt", content=certificates)
    yield Entry(path="etc/passwd", content=_USERS)
    yield Entry(path="etc/group", content=b"root:x:0:\nnonroot:x:65532:\n")
    yield Entry(path="etc/nsswitch.conf", content=b"passwd: files\ngroup: files\nhosts: files dns\n")
    yield Entry(path="tmp", mode=0o1777)


def _moved(entry: Entry, path: str) -> Entry:
    return Entry(path=path, source=entry.source, content=entry.content, link=entry.link, mode=entry.mode)


def _merged(path: str) -> str:
    top = path.split("/", 1)[0]
    return f"usr/{path}" if top in _MERGED else path


def _is_documentation(path: str) -> bool:
    """Whether a file is documentation other than a license."""
    return path.startswith("usr/share/doc/") and not path.endswith("/copyright")


def _candidates(names: Sequence[str]) -> dict[str, str]:
    lines = _run("apt-cache", "policy", *names).splitlines()
    found, name = {}, ""
    for line in lines:
        if not line.startswith(" "):
            name = line.removesuffix(":")
        elif line.startswith("  Candidate: ") and not line.endswith("(none)"):
            found[name] = line.removeprefix("  Candidate: ")
    if missing := [name for name in names if name not in found]:
        raise ImageError(f"apt knows no {', '.join(missing)}: run `apt-get update`, or use the Dockerfile")
    return {name: found[name] for name in names}


def _find(folder: Path, name: str, version: str) -> Path | None:
    escaped = version.replace(":", "%3a")
    return next(folder.glob(f"{name}_{escaped}_*.deb"), None)


def _run(*command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageError(f"`{' '.join(command[:4])} …` failed: {done.stderr.strip()[-1000:]}")
    return done.stdout
