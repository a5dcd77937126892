"""Why a run of a model in Python ended early: by the model's fault, by what a check does not have, or by its inputs."""

import errno
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from switchyard.repository.judging.python import backend_utils
from switchyard.repository.judging.python.backend_tensors import NoTritonError, UsageError
from switchyard.repository.names import quoted
from switchyard.repository.verdict import FaultCode

_MESSAGE_CHARACTERS = 300
_WARMUP = "a model_warmup sample in config.pbtxt says which it takes"
_NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR)

Row = Mapping[str, str]


class Errors:
    """Says what the exceptions of the model in ``file``, a path below ``folder``, mean."""

    def __init__(self, folder: Path, file: str) -> None:
        self._folder, self._file = folder, file
        version = file.partition("/")[0]
        self._own = {version, *(path.name.removesuffix(".py") for path in (folder / version).iterdir())}

    def at_load(self, err: BaseException) -> Row:
        """Return what ended the import, or ``initialize``."""
        if isinstance(err, MemoryError):
            return self._of_memory()
        return self._note_of_what_lacks(err) or self._fault(err, "fails when the model is loaded")

    def at_run(self, err: BaseException, model: object, *, is_guess: bool) -> Row:
        """Return what ended ``execute``; an error on inputs that were made up (``is_guess``) may be because of them."""
        if isinstance(err, MemoryError) and not is_guess:
            return self._of_memory()
        if note := self._note_of_what_lacks(err):
            return note
        if _is_of_any_value(err, model):
            return self._fault(err, "fails for any request")
        if not is_guess:
            return self._fault(err, "fails on the warm-up sample of config.pbtxt")
        what = f"{self._where(err)[1]} fails on inputs that were made up"
        return {"note": f"{what} ({self._said(err)}): {_WARMUP}."}

    def at_end(self, err: BaseException) -> Row:
        """Return what ended ``finalize``, which Triton logs."""
        return {"note": f"{self._where(err)[1]} fails when the model is unloaded ({self._said(err)})."}

    def in_response(self, said: str, *, is_guess: bool) -> Row:
        """Return what a response with an error means."""
        said = quoted(self._without_paths(said), _MESSAGE_CHARACTERS)
        if is_guess:
            return {"note": f"{quoted(self._file)} rejects inputs that were made up ({said}): {_WARMUP}."}
        message = f"{quoted(self._file)} rejects the warm-up sample of config.pbtxt ({said}): correct one of them."
        return {"fault": message, "code": FaultCode.SMOKE, "file": self._file}

    def _fault(self, err: BaseException, what: str) -> Row:
        file, place = self._where(err)
        message = f"{place} {what} ({self._said(err)}): correct it there, or what it reads."
        return {"fault": message, "code": FaultCode.SMOKE, "file": file}

    def _of_memory(self) -> Row:
        message = f"{quoted(self._file)} needs more memory for one run than a check may take: make the model smaller."
        return {"fault": message, "code": FaultCode.LIMIT, "file": self._file}

    def _note_of_what_lacks(self, err: BaseException) -> Row | None:
        for each in _chain(err):
            if isinstance(each, NoTritonError):
                return {"note": f"{quoted(self._file)} was run up to its call of {each}, which a check does not have."}
            if self._is_of_surroundings(each):
                what = f"{self._where(each)[1]} needs what a check does not have"
                return {"note": f"{what} ({self._said(each)}), and the rest was not run."}
        return None

    def _is_of_surroundings(self, err: BaseException) -> bool:
        """Return whether it might not be raised beside Triton: packages, files, network and environment are others."""
        if isinstance(err, ImportError):
            return (err.name or "").partition(".")[0] not in self._own
        if isinstance(err, KeyError):
            frames = traceback.extract_tb(err.__traceback__)
            return bool(frames) and frames[-1].filename in ("<frozen os>", os.__file__)  # of os.environ
        if not isinstance(err, OSError):
            return False
        path = err.filename
        is_ours = isinstance(path, str) and (not os.path.isabs(path) or Path(path).is_relative_to(self._folder))
        return not (err.errno in _NO_FILE and is_ours)

    def _where(self, err: BaseException) -> tuple[str, str]:
        """Return the model's file whose line the error passed last, and both in words."""
        for frame in reversed(traceback.extract_tb(err.__traceback__)):
            if Path(frame.filename).is_relative_to(self._folder):
                file = str(Path(frame.filename).relative_to(self._folder))
                return file, f"{quoted(file)}, line {frame.lineno},"
        return self._file, quoted(self._file)

    def _said(self, err: BaseException) -> str:
        name, text = type(err).__name__, self._without_paths(str(err))
        name = "TypeError" if isinstance(err, UsageError) else name
        return quoted(f"{name}: {text}" if text else name, _MESSAGE_CHARACTERS)[1:-1]

    def _without_paths(self, text: str) -> str:
        text = " ".join(text.split())
        for path in (self._folder, sys.prefix, sys.base_prefix):
            text = text.replace(f"{path}/", "").replace(str(path), ".")
        return text


def _is_of_any_value(err: BaseException, model: object) -> bool:
    """Return whether the error does not depend on the values of the request."""
    if isinstance(err, AttributeError):
        return err.obj is model or err.obj is backend_utils
    return isinstance(err, NameError | UsageError)


def _chain(err: BaseException | None) -> Iterator[Any]:
    seen: list[BaseException] = []
    while err is not None and err not in seen:
        seen.append(err)
        yield err
        err = err.__cause__ or err.__context__
