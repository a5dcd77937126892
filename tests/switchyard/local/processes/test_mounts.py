from pathlib import Path

from switchyard.local.plan.workloads import Command
from switchyard.local.processes.mounts import Mounts


def command(name: str, folder: Path, **texts: str) -> Command:
    files = {folder / file: text for file, text in texts.items()}
    return Command(
        name=name,
        argv=("true",),
        env={},
        cwd=folder,
        readiness="",
        http_port=0,
        grpc=False,
        ports=frozenset(),
        grace=0.0,
        files=files,
        folders=(folder,),
    )


def content(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_a_start_gets_files_that_this_user_alone_can_read(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    one = command("one", folder, key="secret", other="text")
    Mounts([one]).prepare(one)
    assert content(folder) == {"key": "secret", "other": "text"}
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_an_edit_replaces_files_whole_and_removes_those_that_are_gone(tmp_path: Path) -> None:
    mine, others = tmp_path / "mine", tmp_path / "others"
    one, two = command("one", mine, stays="1", goes="2"), command("two", others, file="3")
    mounts = Mounts([one, two])
    mounts.prepare(one)
    mounts.prepare(two)
    untouched = (others / "file").stat()
    with (mine / "stays").open() as reader:
        edited = [command("one", mine, stays="new", comes="4"), command("two", others, file="3")]
        assert mounts.update(edited) == ["one"]
        assert reader.read() == "1"  # whoever reads meanwhile reads one text, not parts of two
    assert content(mine) == {"stays": "new", "comes": "4"}
    assert (others / "file").stat() == untouched
    assert mounts.update(edited) == []


def test_a_file_that_one_container_gives_up_stays_for_another(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    one, two = command("one", shared, a="1", b="2"), command("two", shared, a="1", b="2")
    mounts = Mounts([one, two])
    mounts.prepare(one)
    mounts.update([command("one", shared, a="1"), two])
    assert content(shared) == {"a": "1", "b": "2"}


def test_the_next_start_gets_what_was_edited_before_it(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    one = command("one", folder, file="old")
    mounts = Mounts([one])
    assert mounts.update([command("one", folder, file="new", more="too")]) == ["one"]
    assert not folder.exists()
    mounts.prepare(one)
    assert content(folder) == {"file": "new", "more": "too"}
