"""Archives, bills of materials, and what containerd is given."""

import io
import json
import sys
import tarfile
from pathlib import Path

import pytest

from tests.tools.images.test_packages import HERE
from tools.images.__main__ import hand_over, reference
from tools.images.oci import Config, Entry, ImageError, Store
from tools.images.packages import packages
from tools.images.recipes import REPOSITORY
from tools.images.sbom import document
from tools.images.system import Deb

# Stands for containerd's client: has the blob that the file `has` names, and keeps what it is given in `given`.
CTR = """\
import pathlib, sys
here = pathlib.Path(__file__).parent
if sys.argv[1:3] == ["content", "ls"]:
    print((here / "has").read_text())
elif sys.argv[1:] == ["images", "import", "-"]:
    (here / "given").write_bytes(sys.stdin.buffer.read())
else:
    sys.exit("unknown")
"""


def test_containerd_is_given_what_it_lacks(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    below, code = (store.layer(name, [Entry(path=name, content=b"x")]) for name in ("below", "code"))
    image = store.image(Config(), [below, code])
    (tmp_path / "ctr.py").write_text(CTR)
    (tmp_path / "has").write_text(below.digest)
    hand_over(store, {reference("x", image): image}, [sys.executable, str(tmp_path / "ctr.py")])
    with tarfile.open(fileobj=io.BytesIO((tmp_path / "given").read_bytes())) as tar:
        given = {name.rpartition("/")[2] for name in tar.getnames() if name.startswith("blobs/")}
    assert given == {digest.removeprefix("sha256:") for digest in image.blobs} - {below.digest.removeprefix("sha256:")}
    assert reference("x", image) == f"dev.local/switchyard-x:{image.tag}"


def test_a_containerd_that_cannot_be_asked_is_reported(tmp_path: Path) -> None:
    (tmp_path / "ctr.py").write_text("import sys; sys.exit('no socket')")
    with pytest.raises(ImageError, match="no socket"):
        hand_over(Store(tmp_path), {}, [sys.executable, str(tmp_path / "ctr.py")])


def test_a_bill_of_materials_names_every_package_by_its_url() -> None:
    chosen = packages(REPOSITORY / "requirements/services.lock", HERE)
    debs = [Deb(name="libc6", version="2.36-9", path=Path())]
    bill = json.loads(json.dumps(document("platform", "0.1.0", debs, chosen)))
    urls = [component["purl"] for component in bill["components"]]
    assert urls[0] == "pkg:deb/debian/libc6@2.36-9"
    assert len(urls) == len(set(urls)) == len(chosen) + 2
    assert {"MIT"} <= {one["expression"] for part in bill["components"] for one in part.get("licenses", ())}
