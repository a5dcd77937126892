from collections.abc import Iterator

import pytest

from switchyard.repository.folder import FolderLimits
from switchyard.repository.sources import RemoteFile, SourceError
from switchyard.repository.sources.listing import Limits, bounded, checked, revision_of

LIMITS = FolderLimits(files=5, bytes=100)


def listed(*paths: str, size: int = 1) -> list[RemoteFile]:
    return [RemoteFile(path=path, key=path, size=size, etag="e") for path in paths]


def test_files_come_in_the_order_of_their_paths() -> None:
    assert [file.path for file in bounded("s3://b", listed("b", "a/c", "a/b"), Limits())] == ["a/b", "a/c", "b"]


@pytest.mark.parametrize(
    "path",
    [
        "../escape",
        "a/../../b",
        "/etc/passwd",
        "a//b",
        "./a",
        "a/.",
        "",
        "a\x00b",
        "a\nb",
        "a\x1b[31mb",
        "c:\\windows",
        "a\u202eb",
        "x" * 201,
        "/".join(["a" * 100] * 6),
    ],
)
def test_a_name_that_is_no_path_below_the_folder_is_not_taken_nor_printed_raw(path: str) -> None:
    with pytest.raises(SourceError) as raised:
        checked("s3://b", listed("fine", path), LIMITS)
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("paths", [("A", "a"), ("x/Model.onnx", "x/model.ONNX"), ("a", "a")])
def test_names_that_differ_only_in_case_are_not_taken(paths: tuple[str, str]) -> None:
    with pytest.raises(SourceError, match="case is ignored"):
        checked("s3://b", listed(*paths), LIMITS)


def test_a_name_is_not_a_file_and_a_folder() -> None:
    with pytest.raises(SourceError, match="as a file and as a folder"):
        checked("s3://b", listed("a/b", "a/b/c"), LIMITS)


def test_more_files_than_a_source_may_have_are_not_listed_to_the_end() -> None:
    read = []

    def endless() -> Iterator[RemoteFile]:
        for number in range(1000):
            read.append(number)
            yield from listed(str(number))

    with pytest.raises(SourceError, match="more than 5 files"):
        bounded("s3://b", endless(), Limits(files=5))
    assert len(read) == 6


def test_more_files_than_a_model_may_have_are_not_taken() -> None:
    with pytest.raises(SourceError, match="6 files, of 5"):
        checked("s3://b", listed(*"abcdef"), LIMITS)


def test_hidden_files_are_no_part_of_a_model() -> None:
    assert [file.path for file in checked("s3://b", listed(".git/config", "a", "b/.source.json"), LIMITS)] == ["a"]


def test_too_many_bytes_are_not_taken() -> None:
    with pytest.raises(SourceError, match="102 bytes, of 100"):
        checked("s3://b", listed("a", "b", size=51), LIMITS)


def test_nothing_at_all_is_said_to_be_so() -> None:
    with pytest.raises(SourceError, match="has no files"):
        bounded("s3://b/typo", [], Limits())


def test_a_negative_size_is_not_taken() -> None:
    with pytest.raises(SourceError, match="'a' of -5 bytes"):
        bounded("s3://b", listed("a", size=-5), Limits())


def test_a_revision_changes_with_every_name_size_and_etag() -> None:
    first = listed("a", "b")
    others = [listed("a"), listed("a", "c"), listed("a", "b", size=2), [first[0], RemoteFile(path="b", key="", size=1)]]
    assert len({revision_of(files) for files in [first, *others]}) == 5
