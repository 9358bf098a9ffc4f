"""The processes that read data: one that dies ends the run at once, in words."""

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as lightning

from bam_core.errors import DataError


class EndReaders(lightning.Callback):
    """Ends all readers when one has died: they ignore SIGTERM, so Lightning and Python would wait for them forever."""

    def __init__(self) -> None:
        self._others = set(multiprocessing.active_children())

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """End them."""
        if _died(exception):
            _end(self._others)


@contextmanager
def deaths_explained(go_on: str) -> Iterator[None]:
    """Say in one line that a reader was killed, and how to go on.

    Args:
        go_on: a command or an argument, in words.

    Raises:
        DataError: a reader was killed.
    """
    others = set(multiprocessing.active_children())
    try:
        yield
    except RuntimeError as error:
        if not _died(error):
            raise
        _end(others)
        reason = str(error).strip().rstrip(".")
        raise DataError(
            f"a process that reads data has died ({reason}), mostly because memory ran out. Go on with fewer of them, "
            f"or with none: {go_on}"
        ) from error


def _died(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) and "DataLoader worker" in str(error)


def _end(others: set[Any]) -> None:
    for process in set(multiprocessing.active_children()) - others:
        if process.daemon:  # as all readers are
            process.kill()
