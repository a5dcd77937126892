"""The files of a model's folder: which count, which are faults, and what their SHA-256 is."""

import hashlib
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from switchyard.repository.folder import FolderError, FolderLimits, hash_files, list_files
from switchyard.repository.verdict import Fault, FaultCode, Group

SHIPPED = FolderLimits()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that has nothing wrong."""
    model = tmp_path / "digits"
    (model / "1").mkdir(parents=True)
    (model / "1" / "model.onnx").write_bytes(b"graph")
    (model / "config.pbtxt").write_text('backend: "onnxruntime"')
    (model / "README.md").write_text("Digits.")
    (model / "weights.lock").write_text("")
    return model


def only_fault(folder: Path, group: Group = "vision", limits: FolderLimits = SHIPPED) -> Fault:
    faults = list_files(folder, group, limits).faults
    assert len(faults) == 1, faults
    return faults[0]


def test_files_are_listed_by_path_with_their_sizes(folder: Path) -> None:
    listing = list_files(folder, "vision")
    assert [(file.path, file.size) for file in listing.files] == [
        ("1/model.onnx", 5),
        ("README.md", 7),
        ("config.pbtxt", 22),
        ("weights.lock", 0),
    ]
    assert listing.faults == ()
    assert listing.bytes == 34


def test_hidden_files_and_bytecode_are_not_a_part_of_the_model(folder: Path) -> None:
    before = list_files(folder, "vision")
    (folder / ".gitignore").write_text("*")
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").symlink_to("/etc/passwd")
    (folder / "1" / "__pycache__").mkdir()
    (folder / "1" / "__pycache__" / "model.cpython-311.pyc").write_bytes(b"")
    (folder / "1" / ".model.onnx.AbC123").write_bytes(b"what rsync writes")
    assert list_files(folder, "vision") == before


def link(folder: Path) -> None:
    (folder / "1" / "labels.txt").symlink_to("/etc/hostname")


def link_inside(folder: Path) -> None:
    (folder / "2").symlink_to("1")


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "1" / "model.data")


def unix_socket(folder: Path) -> None:
    here = os.getcwd()
    os.chdir(folder)  # a socket's path is short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("s")
    finally:
        os.chdir(here)


def collision(folder: Path) -> None:
    (folder / "readme.MD").write_text("")


def pickled(folder: Path) -> None:
    (folder / "1" / "model.pkl").write_bytes(b"")


def torch_checkpoint(folder: Path) -> None:
    (folder / "1" / "weights.bin").write_bytes(b"PK\x03\x04 archive/data.pkl")


def library(folder: Path) -> None:
    (folder / "1" / "custom_ops.so").write_bytes(b"\x7fELF")


def control_characters(folder: Path) -> None:
    (folder / "a\x1b[31mb").write_text("")


def not_utf8(folder: Path) -> None:
    with open(os.fsencode(folder) + b"/\xff", "wb"):
        pass


def unfinished(folder: Path) -> None:
    (folder / "1" / "model.onnx.part").write_bytes(b"gr")


def deep(folder: Path) -> None:
    (folder / "/".join("123456789")).mkdir(parents=True)


@pytest.mark.parametrize(
    ("breaks", "code", "file", "says"),
    [
        (link, FaultCode.LINK, "1/labels.txt", "'1/labels.txt' is a symbolic link"),
        (link_inside, FaultCode.LINK, "2", "copy what it leads to"),
        (pipe, FaultCode.SPECIAL_FILE, "1/model.data", "'1/model.data' is no regular file"),
        (unix_socket, FaultCode.SPECIAL_FILE, "s", "remove it"),
        (collision, FaultCode.CASE_COLLISION, "readme.MD", "'readme.MD' and 'README.md'"),
        (pickled, FaultCode.PICKLE, "1/model.pkl", "'1/model.pkl' is a pickle"),
        (torch_checkpoint, FaultCode.PICKLE, "1/weights.bin", "an ONNX file"),
        (library, FaultCode.PICKLE, "1/custom_ops.so", "compiled code"),
        (control_characters, FaultCode.NAME, "", r"'a\x1b[31mb'"),
        (not_utf8, FaultCode.NAME, "", "rename it"),
        (unfinished, FaultCode.INCOMPLETE, "1/model.onnx.part", "unfinished download"),
        (deep, FaultCode.TOO_LARGE, "1/2/3/4/5/6/7/8/9", "more than 8 folders deep"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="other file systems take no such names")
def test_what_may_not_be_in_a_folder_is_named(
    folder: Path, breaks: Callable[[Path], None], code: FaultCode, file: str, says: str
) -> None:
    breaks(folder)
    fault = only_fault(folder)
    assert (fault.code, fault.file) == (code, file)
    assert says in fault.message
    assert str(folder.parent) not in fault.message


def test_what_no_vision_model_needs_may_be_in_its_folder_if_it_is_no_code(folder: Path) -> None:
    (folder / "1" / "model.py").write_text("")
    (folder / "1" / "warmup.bin").write_bytes(bytes(16))
    assert list_files(folder, "vision").faults == ()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "modeling_chat.py", "tf_model.h5", "Model.PT"])
def test_a_language_model_has_neither_code_nor_pickled_weights(tmp_path: Path, name: str) -> None:
    (tmp_path / "chat").mkdir()
    (tmp_path / "chat" / name).write_bytes(b"")
    fault = only_fault(tmp_path / "chat", "llm")
    assert (fault.code, fault.file) == (FaultCode.PICKLE, name)
    assert "model.safetensors" in fault.message


def test_what_a_file_is_is_told_by_its_beginning_unless_only_names_are_asked_for(folder: Path) -> None:
    (folder / "1" / "notes.txt").write_bytes(b"\x7fELF")
    fault = only_fault(folder)
    assert (fault.code, fault.file) == (FaultCode.PICKLE, "1/notes.txt")
    assert list_files(folder, "vision", beginnings=False).faults == ()


def test_weights_of_a_language_model_may_begin_like_a_pickle(tmp_path: Path) -> None:
    (tmp_path / "chat").mkdir()
    (tmp_path / "chat" / "model.safetensors").write_bytes((0x280280).to_bytes(8, "little") + b"{}")
    assert list_files(tmp_path / "chat", "llm").faults == ()


def test_the_folder_itself_is_no_link(folder: Path) -> None:
    (folder.parent / "other").symlink_to(folder)
    fault = only_fault(folder.parent / "other")
    assert (fault.code, fault.file) == (FaultCode.LINK, "")


def test_a_folder_that_is_empty_or_missing_may_still_be_coming(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert only_fault(tmp_path / "empty").code is FaultCode.INCOMPLETE
    assert only_fault(tmp_path / "missing").code is FaultCode.INCOMPLETE


def test_a_file_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"")
    fault = only_fault(tmp_path / "model.onnx")
    assert fault.code is FaultCode.UNREADABLE
    assert "'model.onnx' is a file" in fault.message


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (FolderLimits(files=3), "more than 3 files and folders"),
        (FolderLimits(bytes=33), "34 bytes, of 33"),
        (FolderLimits(file_bytes=21), "'config.pbtxt' has 22 bytes, of 21"),
    ],
)
def test_everything_has_a_bound(folder: Path, limits: FolderLimits, says: str) -> None:
    fault = only_fault(folder, limits=limits)
    assert fault.code is FaultCode.TOO_LARGE
    assert says in fault.message


def test_a_path_has_a_bound(folder: Path) -> None:
    (folder / ("x" * 100)).write_bytes(b"")
    fault = only_fault(folder, limits=replace(FolderLimits(), path=99))
    assert fault.code is FaultCode.TOO_LARGE
    assert "x" * 79 + "…" in fault.message


def test_a_tree_of_empty_folders_ends(folder: Path) -> None:
    for number in range(40):
        (folder / str(number) / "a" / "b").mkdir(parents=True)
    assert "files and folders" in only_fault(folder, limits=FolderLimits(files=100)).message


def test_the_manifest_is_of_paths_sizes_and_contents(folder: Path) -> None:
    manifest = hash_files(folder, list_files(folder, "vision"))
    assert manifest.files["1/model.onnx"] == hashlib.sha256(b"graph").hexdigest()
    assert manifest.bytes == 34
    again = hash_files(folder, list_files(folder, "vision"))
    assert again.digest == manifest.digest
    (folder / "README.md").rename(folder / "README")
    assert hash_files(folder, list_files(folder, "vision")).digest != manifest.digest


def test_a_file_that_changed_since_it_was_listed_is_still_being_written(folder: Path) -> None:
    listing = list_files(folder, "vision")
    with (folder / "1" / "model.onnx").open("ab") as file:
        file.write(b" and more")
    with pytest.raises(FolderError) as raised:
        hash_files(folder, listing)
    assert (raised.value.fault.code, raised.value.fault.file) == (FaultCode.INCOMPLETE, "1/model.onnx")


def test_a_file_that_became_a_link_is_not_read(folder: Path) -> None:
    listing = list_files(folder, "vision")
    (folder / "1" / "model.onnx").unlink()
    (folder / "1" / "model.onnx").symlink_to(folder / "config.pbtxt")
    with pytest.raises(FolderError):
        hash_files(folder, listing)


def test_a_file_that_went_away_is_still_being_written(folder: Path) -> None:
    listing = list_files(folder, "vision")
    (folder / "config.pbtxt").unlink()
    with pytest.raises(FolderError) as raised:
        hash_files(folder, listing)
    assert raised.value.fault.code is FaultCode.INCOMPLETE
