"""Arrays and texts on disk that grow batch by batch, so that what is held does not grow with the data."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Growing:
    """A ``.npy`` file whose first axis grows; ``numpy.load`` reads it once it is closed."""

    def __init__(self, path: Path, kind: Any, columns: tuple[int, ...] = ()) -> None:
        """``kind`` is the element type, ``columns`` the shape of one entry."""
        self._kind = np.dtype(kind)
        self._columns = columns
        self._rows = 0
        self._file: IO[bytes] = path.open("wb")
        self._header()

    def __len__(self) -> int:
        return self._rows

    def append(self, values: Any) -> None:
        """Add entries, [n, *columns]. Raises ``ValueError`` for another shape."""
        found = np.ascontiguousarray(values, dtype=self._kind)
        if found.shape[1:] != self._columns:
            raise ValueError(f"entries of the shape {found.shape[1:]} do not fit among those of {self._columns}")
        self._file.write(found.tobytes())
        self._rows += len(found)

    def close(self) -> None:
        """Write the final shape. The header is padded for it: numpy leaves room for the first axis to grow."""
        self._file.seek(0)
        self._header()
        self._file.close()

    def _header(self) -> None:
        described = {"descr": self._kind.str, "fortran_order": False, "shape": (self._rows, *self._columns)}
        np.lib.format.write_array_header_1_0(self._file, described)


class Strings:
    """Texts one after the other in ``NAME.bin``, with where each starts in ``NAME_starts.npy``; memory-mapped."""

    def __init__(self, folder: Path, name: str) -> None:
        # Plain views of the maps: to take a part of a numpy.memmap costs several times as much.
        self._starts = np.asarray(np.load(folder / f"{name}_starts.npy", mmap_mode="r"))
        self._bytes = np.asarray(mapped(folder / f"{name}.bin", np.uint8))

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, place: int) -> str:
        return self._bytes[int(self._starts[place]) : int(self._starts[place + 1])].tobytes().decode()


class GrowingStrings:
    """Writes what ``Strings`` reads."""

    def __init__(self, folder: Path, name: str) -> None:
        self._file: IO[bytes] = (folder / f"{name}.bin").open("wb")
        self._starts = Growing(folder / f"{name}_starts.npy", np.int64)
        self._starts.append([0])
        self._end = 0

    def append(self, texts: Iterable[str]) -> None:
        """Add texts."""
        encoded = [text.encode() for text in texts]
        self._file.write(b"".join(encoded))
        ends = self._end + np.cumsum([len(text) for text in encoded], dtype=np.int64)
        self._starts.append(ends)
        self._end = int(ends[-1]) if len(ends) else self._end

    def close(self) -> None:
        """Write what is left."""
        self._file.close()
        self._starts.close()


class Files:
    """Growing files of one folder that are closed together."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def array(self, name: str, kind: Any, *columns: int) -> Growing:
        """``NAME.npy``."""
        return self._kept(Growing(self._folder / f"{name}.npy", kind, columns))

    def strings(self, name: str) -> GrowingStrings:
        """``NAME.bin`` and ``NAME_starts.npy``."""
        return self._kept(GrowingStrings(self._folder, name))

    def raw(self, name: str) -> IO[bytes]:
        """A file of plain bytes."""
        return self._open.enter_context((self._folder / name).open("wb"))

    def _kept(self, made: Any) -> Any:
        self._open.callback(made.close)
        return made


def mapped(path: Path, kind: Any) -> NDArray[Any]:
    """A file of plain values, memory-mapped; an empty file cannot be mapped."""
    return np.memmap(path, dtype=kind, mode="r") if path.stat().st_size else np.zeros(0, dtype=kind)
