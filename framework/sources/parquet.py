"""Parquet files, read a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

from framework.errors import DataError, Problem
from framework.sources._files import FileSource, UnreadableError, open_bytes, reading
from framework.sources.base import Bad, Record

_BATCH = 1024


class Parquet(FileSource):
    """Columns become fields; lists and structs become lists and dicts. Rows are counted from 1."""

    suffixes: ClassVar[tuple[str, ...]] = (".parquet",)
    kind: Literal["parquet"] = "parquet"

    def records(self) -> Iterator[Record | Bad]:
        """All records in order."""
        try:
            import pyarrow as pa
        except ImportError as error:
            fix = "pip install pyarrow"
            raise DataError([Problem("kind", "reading parquet needs the package pyarrow", fix)]) from error
        for path, name in self.places():
            number = 0
            try:
                for batch in _batches(path):
                    for row in _values(batch):
                        number += 1
                        where = f"{name}:{number}"
                        yield Bad(row, where) if isinstance(row, str) else Record(row, where)
            except UnreadableError as error:
                yield Bad(str(error), f"{name}:{number + 1}")
            except (pa.ArrowException, OSError, ValueError):
                yield Bad("invalid parquet", f"{name}:{number + 1}")


def _batches(path: Path) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    content: Any = path
    with path.open("rb") as handle:
        packed = handle.read(4) != b"PAR1"
    if packed:  # parquet inside gzip or zstandard: its footer comes last, so that it is read whole
        with open_bytes(path) as handle, reading():
            content = pa.BufferReader(handle.read())
    with pq.ParquetFile(content) as file:
        if len(set(file.schema_arrow.names)) != len(file.schema_arrow.names):
            raise UnreadableError("duplicate column")
        yield from file.iter_batches(batch_size=_BATCH)


def _values(batch: Any) -> Iterator[dict[str, Any] | str]:
    """The rows of a batch; a reason in place of a row whose values have no Python form."""
    try:
        yield from batch.to_pylist()
        return
    except (UnicodeDecodeError, ValueError, OverflowError):
        pass  # one value spoils the batch: go row by row
    for index in range(batch.num_rows):
        try:
            yield batch.slice(index, 1).to_pylist()[0]
        except UnicodeDecodeError:
            yield "not UTF-8"
        except (ValueError, OverflowError):
            yield "value out of range"


COMPONENT = Parquet
