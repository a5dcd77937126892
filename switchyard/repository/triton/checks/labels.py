"""The files with the labels of an output."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from switchyard.files import read_file
from switchyard.repository.names import has_controls, quoted
from switchyard.repository.triton.faults import as_string, nearest
from switchyard.repository.triton.schema import CONFIG
from switchyard.repository.verdict import Fault, FaultCode

MOST_BYTES = 16 * 1024 * 1024  # the 21 841 of ImageNet have 800 KB


def label_faults(config: Any, folder: Path, sizes: Mapping[str, int]) -> Iterator[Fault]:
    """Say which files are missing or have another number of lines than the output has values."""
    for output in config.output:
        if output.label_filename and (fault := _fault(output, folder, sizes)):
            yield fault


def _fault(output: Any, folder: Path, sizes: Mapping[str, int]) -> Fault | None:
    file, name = output.label_filename, quoted(output.name)
    if file.startswith("/") or ".." in file.split("/"):
        message = f"{CONFIG} has the labels of {name} in {quoted(file)}, outside the folder: copy the file into it."
        return Fault(code=FaultCode.LINK, file=CONFIG, message=message)
    if file not in sizes:
        like = nearest(file, tuple(sizes))
        fix = f"write `label_filename: {as_string(like)}`" if like else "copy it there, or remove label_filename"
        message = f"{CONFIG} has the labels of {name} in {quoted(file)}, which is missing: {fix}."
        return Fault(code=FaultCode.INCOMPLETE, file=file, message=message)
    try:
        text = read_file(folder / file, MOST_BYTES).decode()
    except OSError as err:
        message = f"{quoted(file)} cannot be read ({err.strerror}): labels are one line each."
        return Fault(code=FaultCode.UNREADABLE, file=file, message=message)
    except UnicodeDecodeError as err:
        message = f"{quoted(file)} is not text in UTF-8 (byte {err.start}): save it as such."
        return Fault(code=FaultCode.LABELS, file=file, message=message)
    labels = text.split("\n")[: -1 if text.endswith("\n") else None]
    for number, label in enumerate(labels, 1):
        if has_controls(label.replace("\t", " ")):
            end = " (end lines as Unix does, without \\r)" if label.endswith("\r") else ""
            message = (
                f"{quoted(file)}, line {number} has characters that cannot be printed: correct {quoted(label)}{end}."
            )
            return Fault(code=FaultCode.LABELS, file=file, message=message)
    values = math.prod(size for size in output.dims if size > 0)
    open_sizes = any(size < 0 for size in output.dims)  # of rows, for one: then there may be labels for each row
    if len(labels) == values or (open_sizes and len(labels) % values == 0):
        return None
    message = (
        f"{quoted(file)} has {len(labels)} lines, but the output {name} has {values} values"
        f"{' a row' if open_sizes else ''}: write one label per line, in the order of the values."
    )
    return Fault(code=FaultCode.LABELS, file=file, message=message)
