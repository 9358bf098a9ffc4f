"""bam_core: balanced self-attention matching for any kind of data.

>>> import bam_core as bam
>>> run = bam.pretrain("ecg/own", data="my_recordings")  # doctest: +SKIP
>>> run.evaluate()  # doctest: +SKIP
>>> vectors = run.embed("new_recordings")  # doctest: +SKIP

The public names below are loaded on first use, so that `import bam_core` costs nothing and
`from bam_core import BAMObjective` needs only torch, einops and jaxtyping.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"
__distribution__ = "bam-ssl"

if TYPE_CHECKING:
    from bam_core.api.calls import compare, load, pretrain
    from bam_core.api.run import Run
    from bam_core.config.schema import Recipe
    from bam_core.diagnostics import embedding_spread, entropy, rankme
    from bam_core.embedder import BAMEmbedder
    from bam_core.errors import (
        BAMError,
        CollapseWarning,
        ContractError,
        DataError,
        InputError,
        MissingExtraError,
        RecipeError,
    )
    from bam_core.finetuning.estimators import BAMClassifier, BAMRegressor
    from bam_core.finetuning.pretrained import PretrainedClassifier, PretrainedRegressor
    from bam_core.loss.attention import log_attention, positive_mask, unit_rows
    from bam_core.loss.balancing import Balanced, sinkhorn
    from bam_core.loss.definition import BAMLoss, BAMLossOutput, bam_loss
    from bam_core.objectives.bam import BAMObjective, BAMOutput
    from bam_core.projector import Projector
    from bam_core.runs.pretrained import PretrainedEncoder
    from bam_core.schedules import CosineSchedule, WarmupCosineSchedule
    from bam_core.teacher import EMATeacher
    from bam_core.tokens import TokenEncoder, Tokens
    from bam_core.views import Views

# No name may be that of a module: importing the module would put it in the place of the name.
_HOME = {
    "api.calls": ("compare", "load", "pretrain"),
    "api.run": ("Run",),
    "config.schema": ("Recipe",),
    "loss.attention": ("log_attention", "positive_mask", "unit_rows"),
    "loss.balancing": ("Balanced", "sinkhorn"),
    "diagnostics": ("embedding_spread", "entropy", "rankme"),
    "embedder": ("BAMEmbedder",),
    "errors": (
        "BAMError",
        "CollapseWarning",
        "ContractError",
        "DataError",
        "InputError",
        "MissingExtraError",
        "NonFiniteError",
        "RecipeError",
    ),
    "finetuning.estimators": ("BAMClassifier", "BAMRegressor"),
    "finetuning.pretrained": ("PretrainedClassifier", "PretrainedRegressor"),
    "loss.definition": ("BAMLoss", "BAMLossOutput", "bam_loss"),
    "objectives.bam": ("BAMObjective", "BAMOutput"),
    "runs.pretrained": ("PretrainedEncoder",),
    "projector": ("Projector",),
    "schedules": ("CosineSchedule", "WarmupCosineSchedule"),
    "teacher": ("EMATeacher",),
    "tokens": ("TokenEncoder", "Tokens"),
    "views": ("Views",),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "BAMClassifier",
    "BAMEmbedder",
    "BAMError",
    "BAMLoss",
    "BAMLossOutput",
    "BAMObjective",
    "BAMOutput",
    "BAMRegressor",
    "Balanced",
    "CollapseWarning",
    "ContractError",
    "CosineSchedule",
    "DataError",
    "EMATeacher",
    "InputError",
    "MissingExtraError",
    "NonFiniteError",
    "PretrainedClassifier",
    "PretrainedEncoder",
    "PretrainedRegressor",
    "Projector",
    "Recipe",
    "RecipeError",
    "Run",
    "TokenEncoder",
    "Tokens",
    "Views",
    "WarmupCosineSchedule",
    "bam_loss",
    "compare",
    "embedding_spread",
    "entropy",
    "load",
    "log_attention",
    "positive_mask",
    "pretrain",
    "rankme",
    "sinkhorn",
    "unit_rows",
]


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'bam_core' has no attribute {name!r}")
    return getattr(import_module(f"bam_core.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
