"""Layers, configurations and manifests of the OCI image format, kept by digest in a folder.

Source: https://github.com/opencontainers/image-spec (manifest, config, layer and image-layout, version 1.0). The same
entries give the same bytes wherever they are built: names sorted, times zero, all owned by root.
"""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, TypedDict

import zstandard

_MEDIA = "application/vnd.oci.image"
_LAYER = f"{_MEDIA}.layer.v1.tar+zstd"
_LEVEL = 1  # of zstd: the libraries of 7 GB in 3 GB, in about the time that a disk takes for the 7
_EPOCH = "1970-01-01T00:00:00Z"


class ImageError(RuntimeError):
    """An image cannot be built or imported; the message says what is missing and what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One thing of a layer: a file (``source`` or ``content``), a symbolic link (``link``), else a folder.

    ``path`` is relative to the image's root; a ``mode`` of None is the source's own, readable by everybody.
    """

    path: str
    source: Path | None = None
    content: bytes | None = None
    link: str | None = None
    mode: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """One layer in the store; ``digest`` and ``size`` are of the blob, ``diff_id`` of the tar within it."""

    title: str
    digest: str
    diff_id: str
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """What a container of the image runs; ``user`` is a number, so that Kubernetes can see that it is not root."""

    user: str = "65532:65532"
    entrypoint: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: Sequence[int] = ()
    workdir: str = "/"
    architecture: str = "amd64"


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """An image in the store under its manifest's digest."""

    digest: str
    size: int
    config: str
    layers: tuple[Layer, ...]

    @property
    def tag(self) -> str:
        """A tag that changes when the content does, and only then."""
        return self.digest.removeprefix("sha256:")[:12]

    @property
    def blobs(self) -> list[str]:
        """The digests of all that belongs to it, each once."""
        return list(dict.fromkeys([*(layer.digest for layer in self.layers), self.config, self.digest]))


class Store:
    """Blobs by digest below ``root``, and what was built from which key."""

    def __init__(self, root: Path) -> None:
        self._blobs = root / "blobs" / "sha256"
        self._keys = root / "keys"
        for folder in (self._blobs, self._keys):
            folder.mkdir(parents=True, exist_ok=True)

    def path(self, digest: str) -> Path:
        return self._blobs / digest.removeprefix("sha256:")

    def layer(self, title: str, entries: Iterable[Entry]) -> Layer:
        """Write a layer, compressed: a node keeps the blob beside what it unpacks of it."""
        staged = self._blobs / f".layer.{os.getpid()}"
        try:
            with staged.open("wb") as file:
                diff_id = _write_layer(entries, file)
            digest, size = _digest(staged), staged.stat().st_size
            staged.rename(self.path(digest))
        finally:
            staged.unlink(missing_ok=True)
        return Layer(title=title, digest=digest, diff_id=diff_id, size=size)

    def kept(self, key: str, make: Callable[[], Layer]) -> Layer:
        """Return the layer that was made for ``key``; make it if there is none."""
        note = self._keys / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"
        if note.exists():
            layer = Layer(**json.loads(note.read_text()))
            if self.path(layer.digest).exists():
                return layer
        layer = make()
        note.write_text(json.dumps(asdict(layer)))
        return layer

    def share(self, folder: Path) -> None:
        """Keep one copy of each blob that ``folder``, a store by digest on the same disk, has too."""
        for blob in self._blobs.iterdir():
            copy = folder / blob.name
            if copy.is_file() and not copy.samefile(blob):
                staged = blob.with_name(f".link.{os.getpid()}")
                staged.hardlink_to(copy)
                staged.replace(blob)

    def keep_only(self, images: Collection[Image]) -> int:
        """Delete the blobs that none of ``images`` has; return the number of bytes."""
        wanted = {self.path(digest) for image in images for digest in image.blobs}
        unwanted = [path for path in self._blobs.iterdir() if path not in wanted]
        freed = sum(path.stat().st_size for path in unwanted)
        for path in unwanted:
            path.unlink()
        return freed

    def image(self, config: Config, layers: Sequence[Layer]) -> Image:
        """Write the configuration and the manifest of an image made of ``layers``, lowest first."""
        stored = self._put(_config(config, layers))
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{_MEDIA}.manifest.v1+json",
            "config": {"mediaType": f"{_MEDIA}.config.v1+json", **stored},
            "layers": [{"mediaType": _LAYER, "digest": one.digest, "size": one.size} for one in layers],
            "annotations": dict(config.labels),
        }
        kept = self._put(manifest)
        return Image(digest=kept["digest"], size=kept["size"], config=stored["digest"], layers=tuple(layers))

    def archive(self, named: Mapping[str, Image], file: IO[bytes], *, without: Collection[str] = ()) -> None:
        """Write images by name as one OCI archive, without the blobs whose digests are in ``without``."""
        index = {
            "schemaVersion": 2,
            "manifests": [
                {
                    "mediaType": f"{_MEDIA}.manifest.v1+json",
                    "digest": image.digest,
                    "size": image.size,
                    # The first is read by containerd, the second by skopeo and podman.
                    "annotations": {
                        "io.containerd.image.name": name,
                        "org.opencontainers.image.ref.name": name.rsplit(":", 1)[-1],
                    },
                }
                for name, image in named.items()
            ],
        }
        blobs = dict.fromkeys(digest for image in named.values() for digest in image.blobs if digest not in without)
        with tarfile.open(fileobj=file, mode="w|") as tar:
            for path, value in (("oci-layout", {"imageLayoutVersion": "1.0.0"}), ("index.json", index)):
                content = _json(value)
                tar.addfile(_header(path, size=len(content)), io.BytesIO(content))
            for digest in blobs:
                kept = self.path(digest)
                with kept.open("rb") as blob:
                    tar.addfile(_header(f"blobs/sha256/{kept.name}", size=kept.stat().st_size), blob)

    def _put(self, value: Mapping[str, object]) -> "_Descriptor":
        content = _json(value)
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.path(digest).write_bytes(content)
        return {"digest": digest, "size": len(content)}


class _Descriptor(TypedDict):
    digest: str
    size: int


def _config(config: Config, layers: Sequence[Layer]) -> dict[str, object]:
    container: dict[str, object] = {
        "User": config.user,
        "WorkingDir": config.workdir,
        "Env": [f"{name}={value}" for name, value in config.env.items()],
        "Labels": dict(config.labels),
    }
    if config.entrypoint:
        container["Entrypoint"] = list(config.entrypoint)
    if config.ports:
        container["ExposedPorts"] = {f"{port}/tcp": {} for port in config.ports}
    return {
        "created": _EPOCH,
        "architecture": config.architecture,
        "os": "linux",
        "config": container,
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [{"created": _EPOCH, "created_by": layer.title} for layer in layers],
    }


def _json(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _header(path: str, *, mode: int = 0o644, kind: bytes = tarfile.REGTYPE, size: int = 0) -> tarfile.TarInfo:
    header = tarfile.TarInfo(path)
    header.mode, header.type, header.size, header.mtime = mode, kind, size, 0
    return header


class _Hashed:
    """Passes on what is written and hashes it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.hash = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.hash.update(data)
        return self._file.write(data)


def _write_layer(entries: Iterable[Entry], file: IO[bytes]) -> str:
    """Write the compressed tar of ``entries``; return its digest before compression."""
    # With several threads the bytes depend on the level alone, not on how many there are.
    compressor = zstandard.ZstdCompressor(level=_LEVEL, threads=-1)
    placed = {entry.path: entry for entry in entries}  # podman and buildah reject a layer that names a path twice
    with compressor.stream_writer(file, closefd=False) as compressed:
        hashed = _Hashed(compressed)
        with tarfile.open(fileobj=hashed, mode="w|", format=tarfile.PAX_FORMAT) as tar:  # type: ignore[call-overload]
            for path in sorted(placed.keys() | {str(parent) for one in placed for parent in Path(one).parents[:-1]}):
                _add(tar, placed.get(path) or Entry(path=path))
    return f"sha256:{hashed.hash.hexdigest()}"


def _add(tar: tarfile.TarFile, entry: Entry) -> None:
    if entry.link is not None:
        header = _header(entry.path, mode=0o777, kind=tarfile.SYMTYPE)
        header.linkname = entry.link
        tar.addfile(header)
    elif entry.content is not None:
        mode = 0o644 if entry.mode is None else entry.mode
        tar.addfile(_header(entry.path, mode=mode, size=len(entry.content)), io.BytesIO(entry.content))
    elif entry.source is not None:
        with entry.source.open("rb") as file:
            found = os.fstat(file.fileno())
            executable = 0o111 if found.st_mode & 0o100 else 0
            mode = 0o644 | executable if entry.mode is None else entry.mode
            tar.addfile(_header(entry.path, mode=mode, size=found.st_size), file)
    else:
        tar.addfile(_header(entry.path, mode=0o755 if entry.mode is None else entry.mode, kind=tarfile.DIRTYPE))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
