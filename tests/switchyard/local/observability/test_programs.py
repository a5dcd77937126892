"""Where the programs that observe a run are found."""

from pathlib import Path

import pytest

from switchyard.local.errors import LocalError
from switchyard.local.observability.programs import find

ALL = ("prometheus", "prometheus-alertmanager", "otelcol", "jaeger")


def installed(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        (folder / name).touch(mode=0o755)
    return folder


def test_programs_that_were_built_are_found_before_those_on_the_path(tmp_path: Path) -> None:
    path, built = installed(tmp_path / "bin", *ALL), installed(tmp_path / "built", "otelcol")
    found = find({"PATH": str(path)}, built)
    assert (found.collector, found.jaeger) == (str(built / "otelcol"), str(path / "jaeger"))
    assert found.alertmanager == str(path / "prometheus-alertmanager")


def test_alertmanager_is_found_by_the_name_of_its_own_releases_too(tmp_path: Path) -> None:
    path = installed(tmp_path / "bin", "prometheus", "alertmanager", "otelcol", "jaeger")
    assert find({"PATH": str(path)}, tmp_path).alertmanager == str(path / "alertmanager")


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        (("jaeger", "otelcol"), "--observe needs collector, jaeger: run `make observability`, or leave it out"),
        (("prometheus",), "--observe needs prometheus: run `apt-get install prometheus`, or leave it out"),
    ],
)
def test_what_is_missing_is_named_with_how_to_get_it(missing: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
    path = installed(tmp_path / "bin", *(name for name in ALL if name not in missing))
    with pytest.raises(LocalError) as raised:
        find({"PATH": str(path)}, tmp_path)
    assert str(raised.value) == sentence
