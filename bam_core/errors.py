"""Errors and warnings of the project: each says what was expected, what came, and the way out."""


class BAMError(Exception):
    """Base of every error that this project raises on purpose."""


class InputError(BAMError, ValueError):
    """A tensor or an argument does not fit (shape, range, not finite)."""


class DataError(BAMError, ValueError):
    """Files or tables that cannot be read, or that hold nothing usable."""


class UnforeseenDataError(DataError):
    """A library failed on data in a way that their reader did not foresee; the message holds what it said."""


class RecipeError(BAMError, ValueError):
    """A recipe or an override with a wrong key or value."""


class OutputError(BAMError, OSError):
    """Something cannot be written: a full disk, a folder that is missing or must not be written to."""


class NonFiniteError(BAMError, ArithmeticError):
    """NaN or infinity in a training step; the message names where it came from and where the step was saved."""


class MissingExtraError(BAMError, ImportError):
    """An optional package is not installed; the message names the extra that brings it."""


class ContractError(BAMError, AssertionError):
    """A modality or an objective breaks a rule that `bam_core.testing` checks; the message names the rule."""


class CollapseWarning(UserWarning):
    """The settings or the embeddings point to representation collapse."""
