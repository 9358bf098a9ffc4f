"""The protocol of an evaluation: plain values, and a hash that says whether two tables may be compared."""

import hashlib
import json
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from bam_core.part_files import by_content, did_you_mean, installed, is_file

VERSION = 1  # raise it when the same values would give other numbers

Fraction = Annotated[float, Field(gt=0, le=1)]
METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "auc", "average_precision", "r2", "mae", "spearman")
ProbeName = Literal["knn", "linear"]
LEAVE_ONE_GROUP_OUT: Literal["leave_one_group_out"] = "leave_one_group_out"
CrossValidation = Annotated[int, Field(ge=2)] | Literal["leave_one_group_out"]


def _metric(name: str) -> str:
    if name in METRICS or is_file(name):
        return name
    known = (*METRICS, *installed("metric"))
    if name not in known:
        raise ValueError(
            f"no such metric{did_you_mean(name, known)} Known: {', '.join(known)}; or give 'path/to/file.py:NAME'"
        )
    return name


MetricName = Annotated[str, AfterValidator(_metric)]


class EvaluationProtocol(BaseModel):
    """How frozen embeddings are evaluated.

    Attributes:
        probes: which probes, in the order of the table.
        fractions: parts of the labels of train that the probes see, in (0, 1].
        draws: independent draws of labels for every fraction below 1, >= 2.
        min_per_class: labels of every class that a draw keeps at least, where train has them.
        k: neighbours of the kNN probe; with fewer labelled rows all of them vote.
        temperature: of the kNN votes exp(cosine / temperature).
        c_grid: candidates of the linear probe's C, as in scikit-learn: small is strong regularisation. Ridge
            regression, the linear probe of real numbers, takes 1 / (2 C) as its alpha.
        folds: folds of the cross-validation inside train that chooses C, unless there is a validation split.
        max_search_rows: rows of train that the choice of C looks at.
        metrics: the first is the headline, and chooses C (of ridge regression the squared error does). Empty: by kind
            of labels, see `default_metrics`. One of your own is `file.py:NAME`, see `metric_of_weights`.
        classes: names of the classes that macro-averages run over. Empty: all that occur in test.
        bootstrap: resamples of test behind the intervals at fraction 1.
        max_train_rows: a larger train is reduced by a seeded stratified draw.
        max_test_rows: the same for test.
        seed: of draws, folds and bootstrap. It is not the seed of training: runs with different training seeds keep
            the same one, so that they are evaluated on the same draws.
        baselines: which of the modality's baselines stand in the table: "auto" for all that are installed and fit the
            data, "none", or a list of names. They add rows and change no others, so the hash does not know them.
        cross_validation: number of folds of all labelled rows, by group where there are groups and stratified else, or
            "leave_one_group_out": a second table, whose scores are means over the folds. None: no such table. The
            encoder stays the one of the run. (`folds` is something else: it chooses C.)

    Example:
        >>> EvaluationProtocol(k=10).hash() == EvaluationProtocol(k=20).hash()
        False
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    probes: tuple[ProbeName, ...] = Field(("knn", "linear"), min_length=1)
    fractions: tuple[Fraction, ...] = Field((1.0, 0.1, 0.01), min_length=1)
    draws: int = Field(5, ge=2)
    min_per_class: int = Field(1, ge=1)
    k: int = Field(20, ge=1)
    temperature: float = Field(0.07, gt=0)
    c_grid: tuple[Annotated[float, Field(gt=0)], ...] = Field((1e-3, 1e-2, 1e-1, 1.0, 10.0), min_length=1)
    folds: int = Field(3, ge=2)
    max_search_rows: int = Field(3_000, ge=20)
    metrics: tuple[MetricName, ...] = ()
    classes: tuple[str, ...] = ()
    bootstrap: int = Field(500, ge=100)
    max_train_rows: int = Field(100_000, ge=20)
    max_test_rows: int = Field(100_000, ge=20)
    seed: int = Field(0, ge=0)
    baselines: Literal["auto", "none"] | tuple[str, ...] = "auto"
    cross_validation: CrossValidation | None = None

    def hash(self) -> str:
        """Sixteen hexadecimal digits that change with any value, and with the version of the evaluation."""
        without = {"baselines"} | ({"cross_validation"} if self.cross_validation is None else set())
        values = self.model_dump(mode="json", exclude=without)
        values["metrics"] = [by_content(name) for name in self.metrics]
        text = json.dumps([VERSION, values], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
