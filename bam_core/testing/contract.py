"""Rules, and errors that name the one that is broken."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from bam_core.errors import ContractError

Need = Callable[[object, str], None]
"""(whether the rule is kept, what came instead)."""


class Contract:
    """The rules of one part.

    Args:
        part: its name in messages, such as "modality 'ecg'".
    """

    def __init__(self, part: str) -> None:
        self.part = part

    @contextmanager
    def rule(self, text: str) -> Iterator[Need]:
        """State a rule, and check it inside the block.

        Args:
            text: the rule, as a sentence without full stop.

        Yields:
            A function to call with whether the rule is kept, and what came instead.

        Raises:
            ContractError: it is not kept, or anything else was raised inside the block.
        """

        def broken(got: str) -> NoReturn:
            raise ContractError(f"{self.part} breaks a rule of its protocol: {text}. Here: {got}.")

        def need(kept: object, got: str) -> None:
            if not kept:
                broken(got)

        try:
            yield need
        except ContractError:
            raise
        except Exception as error:
            message = f"{self.part} breaks a rule of its protocol: {text}. Here: {type(error).__name__}: {error}"
            raise ContractError(message) from error
