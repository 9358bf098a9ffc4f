"""A progress bar on the terminal that leaves no trace."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from rich.console import Console
from rich.progress import track as rich_track

T = TypeVar("T")

_SHOWN: ContextVar[bool] = ContextVar("_SHOWN", default=True)


@contextmanager
def shown(wanted: bool) -> Iterator[None]:
    """Inside, bars are shown only if they are wanted."""
    token = _SHOWN.set(wanted)
    try:
        yield
    finally:
        _SHOWN.reset(token)


def track(items: Sequence[T], description: str) -> Iterable[T]:
    """The items, one after the other, with a bar on standard error if that is a terminal."""
    console = Console(stderr=True)
    hidden = not (console.is_terminal and _SHOWN.get())
    return rich_track(items, description, console=console, transient=True, disable=hidden)
