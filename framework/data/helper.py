"""A helper process: takes what makes its function, then batch after batch, then perhaps another, until its pipe ends.

    python -m framework.data.helper DESCRIPTOR

Started by ``framework.data.parallel``. Messages are pairs: whether it is a function to be made, and that or a batch.
Batches are answered, by pairs as well: whether it went well, and the result or the error.
"""

from __future__ import annotations

import gc
import pickle
import sys
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from framework.errors import TriptychError


def serve(pipe: Connection) -> None:
    """Answer every batch. Ends in silence when the driver has gone."""
    work: Any = None
    try:
        while True:
            makes, value = pipe.recv()
            if makes:
                work = value()
                gc.freeze()  # what was made so far stays; the collector need not look at it again
            else:
                pipe.send((True, work(value)))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except Exception as error:
        _fail(pipe, error)


def _fail(pipe: Connection, error: Exception) -> None:
    """Hand the error on: a user's mistake as it is, a defect with its traceback as a note."""
    said = error
    if not isinstance(error, TriptychError):
        told = f"in a helper process:\n{traceback.format_exc()}"
        error.add_note(told)
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # some exceptions do not survive it
            said = RuntimeError(told)
    with suppress(OSError):
        pipe.send((False, said))


def main(arguments: list[Any]) -> None:
    """Serve the pipe that was inherited."""
    serve(Connection(int(arguments[0])))


if __name__ == "__main__":
    main(sys.argv[1:])
