"""``python -m tools.images``: builds images, says what weighs, and writes archives or hands them to containerd."""

import argparse
import fcntl
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tools.images.oci import Image, ImageError, Store
from tools.images.recipes import RECIPES, REPOSITORY, Builder, Built

PREFIX = "dev.local/switchyard-"  # a host that Knative, by default, asks for no digest
_MEGABYTE = 1e6


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.images", description="Builds images without an engine.")
    parser.add_argument("names", nargs="*", metavar="image", help=f"of {', '.join(RECIPES)}; all if none is named")
    parser.add_argument("--state", type=Path, default=REPOSITORY / "build/images", help="where layers are kept")
    parser.add_argument(
        "--archives", type=Path, help="also write <image>.tar and its bill of materials into this folder"
    )
    parser.add_argument(
        "--import-with", metavar="CTR", help="also import with this: 'ctr --address … --namespace k8s.io'"
    )
    parser.add_argument(
        "--share-with", type=Path, help="keep one copy of the blobs that this folder has after an import"
    )
    parser.add_argument("--result", type=Path, help="also write names and digests into this file, as JSON")
    return parser.parse_args()


def _say(text: str) -> None:
    print(f"images: {text}", file=sys.stderr, flush=True)


def reference(name: str, image: Image) -> str:
    """Return the name by which pods refer to an image; other content gets another name."""
    return f"{PREFIX}{name}:{image.tag}"


def _report(name: str, image: Image) -> None:
    total = sum(layer.size for layer in image.layers)
    print(f"{reference(name, image)}  {total / _MEGABYTE:,.1f} MB")
    for layer in image.layers:
        print(f"  {layer.size / _MEGABYTE:10,.2f} MB  {layer.title}")


def _write(store: Store, built: Mapping[str, Built], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, one in built.items():
        with (folder / f"{name}.tar").open("wb") as file:
            store.archive({reference(name, one.image): one.image}, file)
        (folder / f"{name}.cdx.json").write_text(one.bill)


def hand_over(store: Store, named: Mapping[str, Image], ctr: list[str]) -> None:
    """Stream what containerd lacks to its client ``ctr``: after a change of code, kilobytes.

    Raises:
        ImageError: containerd cannot be reached, or rejects the images.
    """
    listed = subprocess.run([*ctr, "content", "ls", "--quiet"], capture_output=True, text=True, check=False)
    if listed.returncode:
        raise ImageError(f"`{shlex.join(ctr)} content ls` failed: {listed.stderr.strip()}")
    with subprocess.Popen([*ctr, "images", "import", "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as taking:
        assert taking.stdin is not None
        with suppress(BrokenPipeError), taking.stdin:  # its exit status says why it stopped reading
            store.archive(named, taking.stdin, without=set(listed.stdout.split()))
    if taking.returncode:
        raise ImageError(f"`{shlex.join(ctr)} images import` failed; what it printed is above")


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Keep two runs from building the same layer at once, or one from deleting what the other reads."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say(f"another run builds in {state}: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(arguments: argparse.Namespace, names: list[str]) -> None:
    builder = Builder(arguments.state.resolve(), _say)
    built = {name: builder.build(RECIPES[name]) for name in names}
    if built.keys() == RECIPES.keys() and (freed := builder.store.keep_only([one.image for one in built.values()])):
        _say(f"deleted {freed / _MEGABYTE:,.0f} MB that no image holds any more")
    for name, one in built.items():
        _report(name, one.image)
    if arguments.archives:
        _write(builder.store, built, arguments.archives)
    if arguments.import_with:
        named = {reference(name, one.image): one.image for name, one in built.items()}
        hand_over(builder.store, named, shlex.split(arguments.import_with))
    if arguments.share_with:
        builder.store.share(arguments.share_with)
    if arguments.result:
        references = {
            name: {"image": reference(name, one.image), "digest": one.image.digest} for name, one in built.items()
        }
        arguments.result.write_text(json.dumps(references, indent=1))


def main() -> int:
    """Build the images that are named; return the exit status."""
    arguments = _arguments()
    names = arguments.names or list(RECIPES)
    if unknown := [name for name in names if name not in RECIPES]:
        _say(f"no image is called {', '.join(unknown)}; there are {', '.join(RECIPES)}")
        return 2
    try:
        with _alone(arguments.state):
            _run(arguments, names)
    except ImageError as err:
        _say(str(err))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
