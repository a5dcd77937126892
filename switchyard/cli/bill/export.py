"""Writes the rows of a day to a file, a page at a time, which has its name only when it is whole."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol

from switchyard.cli.bill.organization import BillError, Organization
from switchyard.cli.bill.summary import midnight
from switchyard.gateway.usage.entries import FIELDS

Format = Literal["jsonl", "parquet"]
Rows = Sequence[Mapping[str, Any]]


class _Writer(Protocol):
    def write(self, rows: Rows) -> None: ...

    def __enter__(self) -> "_Writer": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


async def export(organization: Organization, day: date, form: Format, folder: Path) -> tuple[Path, int]:
    """Write the rows of a day (UTC) to ``usage-<day>.<form>`` in ``folder``; return the file and how many they are.

    A file of that name is replaced, when the new one is whole.

    Raises:
        BillError: the gateway cannot be asked, or the format needs what is not installed.
        OSError: the file cannot be written.
    """
    asked = {"start_time": midnight(day), "end_time": midnight(day + timedelta(days=1))}
    path, count = folder / f"usage-{day.isoformat()}.{form}", 0
    opened = _parquet if form == "parquet" else _JsonLines
    with _whole(path) as part, opened(part) as file:
        async for rows in organization.pages("usage/rows", asked):
            if rows:
                file.write(rows)
                count += len(rows)
    return path, count


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Yield where to write; what is written there gets its name at the end, or is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


class _JsonLines:
    """A row of JSON on each line."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

    def write(self, rows: Rows) -> None:
        import orjson

        self._file.writelines(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)

    def __enter__(self) -> "_JsonLines":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _parquet(path: Path) -> _Writer:
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError:
        raise BillError("Parquet needs pyarrow, which is not installed: pip install pyarrow, or use jsonl") from None
    return _Parquet(path, arrow, parquet)


class _Parquet:
    """Columns with the names and types of ``entries.FIELDS``; ``time`` is a timestamp. A page is a row group."""

    def __init__(self, path: Path, arrow: Any, parquet: Any) -> None:
        types = {str: arrow.string(), int: arrow.int64(), float: arrow.float64(), bool: arrow.bool_()}
        columns = {name: types[kind] for name, kind in FIELDS.items()}
        self._schema = arrow.schema({**columns, "time": arrow.timestamp("ms", tz="UTC")})
        self._table_of = arrow.Table.from_pylist
        self._writer = parquet.ParquetWriter(path, self._schema, compression="zstd")

    def write(self, rows: Rows) -> None:
        timed = [{**row, "time": round(row["time"] * 1000)} for row in rows]
        self._writer.write_table(self._table_of(timed, schema=self._schema))

    def __enter__(self) -> "_Parquet":
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()
