"""How to fine-tune: plain values with defaults that suit few labels."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from bam_core.config.registry import did_you_mean
from bam_core.errors import RecipeError
from bam_core.probes.protocol import CrossValidation, EvaluationProtocol

Fraction = Annotated[float, Field(gt=0, le=1)]


class FinetuneSettings(BaseModel):
    """Labels, training, and what the result is evaluated beside."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    freeze: str = "none"
    """What of the encoder stays as it was pretrained: "none"; "encoder": all of it, only the last layer learns; or
    "until:LAYER": all that comes before LAYER, which learns."""
    fraction: Fraction = 1.0
    """Part of the labels of train that the model is made from."""
    fractions: tuple[Fraction, ...] = Field((0.01, 0.1, 1.0), min_length=1)
    """Parts of the labels of the curve; those above `fraction` are left out, and `fraction` itself is added."""
    seeds: Annotated[int, Field(ge=1)] = 3
    """Trainings of each kind and part of the labels; below 1 each has its own draw of labels, at least two."""
    scratch: bool = True
    """Train the same network from random weights as well."""
    epochs: Annotated[int, Field(ge=1)] = 50
    """Passes over the labelled rows, at most."""
    min_steps: Annotated[int, Field(ge=1)] = 200
    """Optimiser steps at least, however few the labels are: with fewer there are more passes."""
    batch_size: Annotated[int, Field(ge=2)] = 64
    """Rows of a step."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """Peak of the encoder's last layer (AdamW), and of all layers from scratch; warm-up, then half a cosine."""
    head_learning_rate: Annotated[float, Field(gt=0)] = 1e-2
    """Peak of the linear layer on top, whose inputs are standardised."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 0.75
    """Each layer towards the input learns by this factor more slowly."""
    head_warmup: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Part of the steps in which only the linear layer learns."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    """Of tensors with two or more dimensions."""
    held_out: Annotated[float, Field(ge=0, le=0.5)] = 0.2
    """Part of the labelled rows, by group where there are groups, that decides when to stop, unless the data have a
    validation split. With fewer than ten such rows, none are held out, and training goes to its end."""
    patience: Annotated[int, Field(ge=1)] = 12
    """Looks at the held-out rows without progress after which training stops; there are at most 40 looks."""
    refit: bool = False
    """After the held-out rows have said when to stop, train anew on all labelled rows of train, to the same part of the
    course. Nothing is left to judge that training by. A validation split stays out."""
    cross_validation: CrossValidation | None = None
    """Judge on folds of all labelled rows in place of the test split: so many, by group where there are groups, or
    leave_one_group_out. Every fold has all trainings: take fractions=[1.0] and seeds=1. The model that is kept learns
    from all labelled rows."""
    class_weights: Literal["none", "balanced"] = "none"
    """"balanced": rare classes weigh more, by one over their frequency. Probabilities are then those of equally
    frequent classes."""
    metrics: tuple[str, ...] = ()
    """As in `evaluate.metrics` of a recipe, the headline first. Empty: as the recipe, or by kind of labels."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of draws of labels, the order of rows and new weights."""

    @field_validator("freeze")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in ("none", "encoder") and not (value.startswith("until:") and len(value) > len("until:")):
            raise ValueError("expected none, encoder, or until: and the name of a layer, such as until:layer3")
        return value

    @property
    def curve(self) -> tuple[float, ...]:
        """Parts of the labels, the largest first."""
        return tuple(sorted({self.fraction, *(f for f in self.fractions if f < self.fraction)}, reverse=True))

    def protocol(self, of_run: EvaluationProtocol) -> EvaluationProtocol:
        """How probes and baselines beside it are evaluated: on the same draws of labels, by the same metrics."""
        return of_run.model_validate(
            {
                **of_run.model_dump(),
                "probes": ("linear",),
                "fractions": self.curve,
                "draws": max(2, self.seeds),
                "metrics": self.metrics or of_run.metrics,
                "seed": self.seed,
                "cross_validation": self.cross_validation,
            }
        )


def checked_settings(values: Mapping[str, Any]) -> FinetuneSettings:
    """Settings with all mistakes named at once.

    Raises:
        RecipeError: no such setting, or values out of range.
    """
    try:
        return FinetuneSettings.model_validate(dict(values))
    except ValidationError as error:
        lines = []
        for e in error.errors():
            key = ".".join(str(part) for part in e["loc"])
            unknown = e["type"] == "extra_forbidden"
            message = e["msg"].removeprefix("Value error, ")
            lines.append(
                f"  {key}: no such setting{did_you_mean(key, FinetuneSettings.model_fields)}"
                if unknown
                else f"  {key}: {message[0].lower()}{message[1:]}, got {e['input']!r}"
            )
        known = ", ".join(FinetuneSettings.model_fields)
        raise RecipeError(
            "settings of fine-tuning have mistakes:\n" + "\n".join(lines) + f"\nKnown: {known}; and data.OPTION of "
            "the reader, such as data.label."
        ) from error
