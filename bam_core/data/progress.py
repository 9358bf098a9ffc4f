"""A progress bar on the terminal that leaves no trace."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import track as rich_track

T = TypeVar("T")


def track(items: Sequence[T], description: str) -> Iterable[T]:
    """The items, one after the other, with a bar on standard error if that is a terminal."""
    console = Console(stderr=True)
    return rich_track(items, description, console=console, transient=True, disable=not console.is_terminal)
