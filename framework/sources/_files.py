"""What file sources share: finding files, never outside the folder that was named, and naming places in them."""

from __future__ import annotations

import difflib
import os
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from framework.errors import DataError, Problem
from framework.paths import resolve
from framework.sources._opened import Readable
from framework.sources.base import Bad, Record, Source

_PACKED = (".gz", ".zst")
_WILD = "*?["


class FileSource(Source):
    """A source whose rows are in files: one file, a folder (all files of the kind below it), or a glob.

    Names that start with a dot are passed over in folders. What a folder or a glob finds must lie in the folder (of a
    glob: the one before its first wildcard), links followed; a file that is named itself may be anywhere.
    """

    suffixes: ClassVar[tuple[str, ...]]
    """File names that count in a folder, before ``.gz`` or ``.zst``."""
    not_content: ClassVar[frozenset[str]] = Source.not_content | {"path"}
    path: str

    @abstractmethod
    def read(self, file: Readable, name: str) -> Iterator[Record | Bad]:
        """The records of one file in order; ``name`` is what their places call it."""

    def records(self) -> Iterator[Record | Bad]:
        """All records in order of the files' names."""
        for path, name in self.places():
            yield from self.read(path, name)

    def files(self) -> list[Path]:
        """The files, sorted. Raises ``DataError`` that names the path and what is near it."""
        if not self.path:
            raise DataError([Problem("path", "no path is given", "set it to a file, a folder or a glob")])
        try:
            return self._found()
        except (OSError, ValueError, RuntimeError) as error:
            # Too long a name, a null byte, a folder that may not be entered, ~nobody, a pattern that is none.
            said = (error.strerror if isinstance(error, OSError) else None) or str(error)
            problem = Problem("path", f"{self.path!r} cannot be looked up: {said}", "check the path")
            raise DataError([problem]) from error

    def places(self) -> list[tuple[Path, str]]:
        """Every file with the short name that rows and messages give it: its path below what all files share."""
        files = self.files()
        if len(files) == 1:
            return [(files[0], printable(files[0].name))]
        root = resolve(self.path)
        if not root.is_dir():
            root = common_folder(files)
        return [(path, printable(path.relative_to(root).as_posix())) for path in files]

    def _found(self) -> list[Path]:
        given = resolve(self.path)
        if given.is_file():
            return [given]
        if given.is_dir():
            found = below(given, self._counts)
            if not found:
                wanted = ", ".join(self.suffixes)
                raise DataError([Problem("path", f"the folder {given} holds no {wanted} file (plain, .gz or .zst)")])
            return found
        found = _glob(self.path)
        if not found:
            raise DataError([_missing(given)])
        return found

    def _counts(self, name: str) -> bool:
        return plain_name(name).endswith(self.suffixes)


def plain_name(name: str) -> str:
    """A file's name in lower case without the endings of compression."""
    name = name.lower()
    while name.endswith(_PACKED):
        name = name.rpartition(".")[0]
    return name


def printable(name: str) -> str:
    """A name that any file and terminal can take: what is not text, or steers terminals, is escaped."""
    shown = name.encode("utf-8", "backslashreplace").decode()
    return "".join(mark if mark.isprintable() else mark.encode("unicode_escape").decode() for mark in shown)


def common_folder(files: Sequence[Path]) -> Path:
    """The deepest folder that all files share; the empty path for no file."""
    return Path(os.path.commonpath([file.parent for file in files])) if files else Path()


def below(folder: Path, wanted: Callable[[str], bool]) -> list[Path]:
    """The files below a folder whose names are wanted, sorted, without hidden ones.

    Raises ``DataError`` for links that lead out of the folder.

    A link to a folder inside is passed over, since its files are found where they are. A link to nothing is kept: it
    is for the reader to say that it cannot be opened. Raises ``OSError`` for a folder that may not be entered.
    """
    found: list[Path] = []
    linked: list[Path] = []

    def stop(error: OSError) -> None:
        raise error

    for place, folders, names in os.walk(folder, onerror=stop):
        folders[:] = [name for name in folders if not name.startswith(".")]
        linked += [Path(place, name) for name in folders if Path(place, name).is_symlink()]
        found += [Path(place, name) for name in names if not name.startswith(".") and wanted(name)]
    _inside(folder, [*found, *linked])
    return sorted(path for path in found if path.is_symlink() or path.is_file())


def _inside(folder: Path, found: Sequence[Path]) -> None:
    # Not Path.resolve: it raises for links that lead in circles.
    root = Path(os.path.realpath(folder))
    out = [path for path in found if not Path(os.path.realpath(path)).is_relative_to(root)]
    if out:
        more = f" and {len(out) - 1} more" if len(out) > 1 else ""
        message = f"{out[0]}{more} leads out of the folder {folder}, to {os.path.realpath(out[0])}"
        raise DataError([Problem("path", message, "name that file or folder itself, or copy it here")])


def _glob(pattern: str) -> list[Path]:
    given = Path(pattern).expanduser()
    for index, part in enumerate(given.parts):
        if any(mark in part for mark in _WILD):
            base = resolve(str(Path(*given.parts[:index]))) if index else Path.cwd()
            found = [path for path in base.glob(str(Path(*given.parts[index:]))) if not path.is_dir()]
            _inside(base, found)
            return sorted(found)
    return []


def _missing(given: Path) -> Problem:
    if any(mark in str(given) for mark in _WILD):
        return Problem("path", f"no file matches {given}", "check the pattern")
    folder = given.parent
    if not folder.is_dir():
        return Problem("path", f"there is no file {given}: its folder does not exist", "check the path")
    near = difflib.get_close_matches(given.name, [entry.name for entry in folder.iterdir()], n=1, cutoff=0.5)
    fix = f"did you mean {near[0]!r} in the same folder?" if near else "check the path"
    return Problem("path", f"there is no file {given}", fix)
