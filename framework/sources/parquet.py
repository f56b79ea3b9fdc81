"""Parquet files, read a batch at a time."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Literal

from framework.errors import DataError, Problem
from framework.sources._files import FileSource
from framework.sources._opened import Readable, UnreadableError, open_bytes, reading
from framework.sources.base import Bad, Record

_BATCH = 1024
_MAX_PACKED = 1 << 30
"""Bytes of a parquet file that is itself compressed: its footer comes last, so that it is held in memory whole."""


class Parquet(FileSource):
    """Columns become fields; lists and structs become lists and dicts. Rows are counted from 1."""

    suffixes: ClassVar[tuple[str, ...]] = (".parquet",)
    kind: Literal["parquet"] = "parquet"

    def read(self, file: Readable, name: str) -> Iterator[Record | Bad]:
        """The file's records in order."""
        try:
            import pyarrow as pa
        except ImportError as error:
            fix = "pip install pyarrow"
            raise DataError([Problem("kind", "reading parquet needs the package pyarrow", fix)]) from error
        number = 0
        try:
            for batch in _batches(file):
                for row in _values(batch):
                    number += 1
                    where = f"{name}:{number}"
                    yield Bad(row, where) if isinstance(row, str) else Record(row, where)
        except UnreadableError as error:
            yield Bad(str(error), f"{name}:{number + 1}")
        except (pa.ArrowException, OSError, ValueError):
            yield Bad("invalid parquet; the rest of the file is left out", f"{name}:{number + 1}")


def _batches(file: Readable) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _plain(file) as content, pq.ParquetFile(content) as opened:
        if len(set(opened.schema_arrow.names)) != len(opened.schema_arrow.names):
            raise UnreadableError("duplicate column")
        try:
            yield from opened.iter_batches(batch_size=_BATCH)
        except pa.ArrowNotImplementedError as error:
            raise UnreadableError("parquet of a kind that cannot be read") from error


@contextmanager
def _plain(file: Readable) -> Generator[Any]:
    import pyarrow as pa

    with reading():
        handle = file.open("rb")
    with handle:
        with reading():
            packed = handle.read(4) != b"PAR1"
            handle.seek(0)
        if not packed:
            yield handle
            return
        with open_bytes(file) as unpacked, reading():
            content = unpacked.read(_MAX_PACKED + 1)
        if len(content) > _MAX_PACKED:
            raise UnreadableError("compressed parquet over 1 GiB: decompress it")
        yield pa.BufferReader(content)


def _values(batch: Any) -> Iterator[dict[str, Any] | str]:
    """The rows of a batch; a reason in place of a row whose values have no Python form."""
    try:
        found: list[dict[str, Any] | str] = batch.to_pylist()
    except Exception:  # one value spoils the batch, in as many ways as there are types: go row by row
        found = [_value(batch.slice(index, 1)) for index in range(batch.num_rows)]
    yield from found


def _value(row: Any) -> dict[str, Any] | str:
    try:
        found: dict[str, Any] = row.to_pylist()[0]
    except UnicodeDecodeError:
        return "not UTF-8"
    except Exception:  # years past 9999, unknown time zones, structs with a name twice: the types are many
        return "value has no Python form"
    return found


COMPONENT = Parquet
