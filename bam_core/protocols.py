"""What the parts of a run must offer each other. Nothing has to inherit from these; having the methods is enough.

`bam_core.testing` checks all of it: `check_modality(MODALITY)` and `check_objective(factory)` in a test of yours.

A *modality* is the adapter of one domain: readers, views, encoders. Its functions are plain callables with typed
keyword arguments; a recipe's section is the keyword arguments of the function that it names. An argument that the
recipe leaves out and that bears the name of a fact of the data (such as `in_channels`) is filled in from the data.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial, wraps
from operator import attrgetter
from typing import Any, NamedTuple, Protocol, runtime_checkable
from warnings import warn

import torch
from torch import Tensor, nn

from bam_core.views import View, Views, accepts_keyword

Batch = Any  # what `Modality.collate` makes of some rows, and what views and encoders take


@runtime_checkable
class ViewFn(Protocol):
    """Maps a batch to views; `untouched`, when there, maps it to the one view that is embedded after training.

    An attribute `loader` that is not None, see `Loader`, reads the batches of training instead of `Modality.collate`.
    """

    def __call__(self, batch: Batch, *, generator: torch.Generator | None = None) -> Views | list[View]:
        """Random views of the batch, on its device, reproducible from the generator; the batch is left as it is.

        Nothing looks at a value on the device, since the training would wait for it.
        """
        ...


@runtime_checkable
class Loader(Protocol):
    """Draws a part of the views where data are read, such as crops of images too large to be kept whole.

    It may follow the network: after some passes over the data it computes something of every row of train, and keeps
    that in `state`, a tensor with a row for each, or None before. The run calls it, saves the state and restores it.
    """

    state: Tensor | None

    def __call__(
        self, columns: Mapping[str, Any], facts: Mapping[str, Any], *, rows: Sequence[int], seed: Sequence[int]
    ) -> Batch:
        """What the view function takes, of some rows of train; what is random follows from seed and row."""
        ...

    def should_refresh(self, passes: int) -> bool:
        """Whether to compute the state anew after so many passes over the data."""
        ...

    def load(self, columns: Mapping[str, Any], facts: Mapping[str, Any]) -> Batch:
        """Some rows as `compute` wants them."""
        ...

    def compute(self, encoder: nn.Module, batch: Batch) -> Tensor:
        """(b, k): what to keep of each row; the encoder is the teacher's if there is one."""
        ...


@runtime_checkable
class Objective(Protocol):
    """A trainable module around an encoder: BAM, or another method of the field.

    Calling it with a batch and `generator=`, one or several (`bam_core.views.draw_views` says what for), returns a
    NamedTuple with `loss` and with `embeddings`, (n_views * b, d) and detached; every further scalar field is logged.
    All that its training depends on is in its state dict. One with a teacher keeps that in the attribute `teacher`, and
    the teacher's encoder in `teacher.module.encoder`, for which a run saves it beside the student's.
    """

    @property
    def encoder(self) -> nn.Module:
        """The network that pretraining is for."""
        ...

    def initialize(self, batch: Batch) -> None:
        """Make every parameter, learning nothing. The training does it before anything counts the parameters."""
        ...

    def update_teacher(self) -> None:
        """Called once per optimiser step."""
        ...

    def embed(self, batch: Batch, *, teacher: bool = False) -> Tensor:
        """(b, d) embeddings of the untouched batch, detached, in evaluation mode; modes are as before afterwards."""
        ...


class FittedBaseline(NamedTuple):
    """A baseline that has seen some rows of train, without their labels.

    Attributes:
        features: columns of some rows -> (b, k) finite numbers, array or tensor.
        classifier: takes the place of the linear probe's logistic regression, see
            `bam_core.probes.classifiers.Classifier`.
            None: the logistic regression itself.
        knn: whether the features are a space in which neighbours mean something; a model on raw columns has no kNN.
        note: what was done to these data, such as lengths made equal; a sentence for the table.
    """

    features: Callable[[Mapping[str, Any]], Any]
    classifier: Callable[..., Any] | None = None
    knn: bool = True
    note: str = ""


@dataclass(frozen=True)
class Baseline:
    """What a user would take instead of pretraining: fixed features for the probes, or a model on raw columns.

    Attributes:
        fit: (columns, facts, *, n_rows, seed) -> `FittedBaseline`. Columns are those of up to `fit_rows` rows of train,
            as `Modality.collate` takes them; `n_rows` is the number of rows that features will be asked for.
        about: what it is and from where, a sentence for the table.
        packages: names of the modules that it imports beyond those of its modality.
        extra: of bam-ssl that brings them.
        fit_rows: rows that `fit` looks at, at most.
        why_not: (names of the columns, facts) -> why the baseline cannot be had for such data, or "".
    """

    fit: Callable[..., FittedBaseline]
    about: str
    packages: tuple[str, ...] = ()
    extra: str = "baselines"
    fit_rows: int = 1024
    why_not: Callable[[Sequence[str], Mapping[str, Any]], str] | None = None


class ExportInput(NamedTuple):
    """What an exported network takes, and the preprocessing that becomes part of it.

    Attributes:
        module: the inputs, in order -> a batch as encoders take it; plain arithmetic on tensors.
        examples: name -> (n, ...) random rows, n of at least two.
        dynamic: name -> axis -> its name, of the axes behind the first whose length may differ.
        about: name -> what it is: unit, scale, what is done before.
        rows: the same rows as `Modality.from_memory` takes them, to compare with; None where it cannot read such rows.
        options: of `from_memory`.
    """

    module: nn.Module
    examples: Mapping[str, Tensor]
    dynamic: Mapping[str, Mapping[int, str]]
    about: Mapping[str, str]
    rows: Any = None
    options: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Modality:
    """The adapter of one domain.

    Attributes:
        name: as recipes write it.
        readers: functions (**options) -> `PreparedData`; recipes choose by `data.reader`. A reader whose preprocessing
            is learnt from the training data keeps it in the facts, and has a keyword `fitted`: the facts of a saved
            encoder, to read new data in the same way.
        reader_for_suffix: file suffix, or "" for a folder -> name of the reader that new data of that kind go to, or a
            tuple of all that take it: the one that the encoder was trained with, if it is among them, else the first.
            They have a keyword `path`.
        views: factories (**options) -> `ViewFn`; recipes choose by `views.name`.
        encoders: factories (**options) -> module (view -> (b, d)); recipes choose by `encoder.name`. Options are plain
            JSON, since they are saved with the weights. One that does not take what some views make says so by a
            `BAMError`.
        collate: (columns of some rows, facts) -> batch. Columns are numpy arrays, or lists where lengths differ.
        raw_features: batch -> (b, k) tensor: what a user would feed a linear model without any network. Like `draw`, it
            may have a keyword `facts`, see `with_facts`.
        example: (**options) -> `PreparedData`, small, synthetic, in a second, with labels and the splits train and
            test; for tests and trials.
        draw: (matplotlib axes, one sample of a view) -> None: a picture of it for reports.
        label_risks: for every random change that the views make, the labels that it may destroy. Keys are the options
            of the views, or what these begin with; options that say how many, how likely (`p`, `..._p`), and
            `local_...` need none of their own.
        from_memory: (rows, *, fitted=None, **options) -> `PreparedData` that holds unlabelled rows of a user's arrays,
            all in "train", for `BAMEmbedder`. Their `id` is the place in the rows, as in "7"; where a row was cut into
            parts, followed by "@" and the part. `fitted` is as for readers. If the rows of the embeddings are not
            those of the user's arrays, `PreparedData.names` says what they are.
        to_files: (rows, folder, *, labels=None, groups=None, **options) -> the section `data` of a recipe, its path
            relative to the folder: writes rows in memory, as `from_memory` takes them, for one of the readers. It lets
            `bam_core.pretrain` and `Run.finetune` take them.
        export_input: (facts, *, reader, options, seed) -> `ExportInput`: what `bam export` lets a network take, for an
            encoder whose data were read by `reader` with these options.
        columns_are_features: whether these rows are a table (n, columns), whose columns are always the same features.
        baselines: name -> what a user would take instead of pretraining, for the tables of `bam evaluate` and
            `bam compare`.
    """

    name: str
    readers: Mapping[str, Callable[..., Any]]
    reader_for_suffix: Mapping[str, str | tuple[str, ...]]
    views: Mapping[str, Callable[..., Callable[..., Any]]]
    encoders: Mapping[str, Callable[..., nn.Module]]
    collate: Callable[[Mapping[str, Any], Mapping[str, Any]], Batch]
    raw_features: Callable[..., Tensor]
    example: Callable[..., Any]
    draw: Callable[..., None]
    label_risks: Mapping[str, str] = field(default_factory=dict[str, str])
    from_memory: Callable[..., Any] | None = None
    to_files: Callable[..., Mapping[str, Any]] | None = None
    export_input: Callable[..., ExportInput] | None = None
    columns_are_features: bool = False
    baselines: Mapping[str, Baseline] = field(default_factory=dict[str, Baseline])

    def readers_of(self, kind: str) -> tuple[str, ...]:
        """Names of the readers that take a file suffix, or "" for a folder."""
        names = self.reader_for_suffix.get(kind, ())
        return (names,) if isinstance(names, str) else names

    def with_facts(self, facts: Mapping[str, Any]) -> "Modality":
        """The same adapter, with the facts of some data given to those of its functions that take them."""
        bound: dict[str, Any] = {
            name: partial(function, facts=facts)
            for name, function in (("raw_features", self.raw_features), ("draw", self.draw))
            if accepts_keyword(function, "facts")
        }
        return replace(self, **bound)


RENAMED = {"reads": "reader_for_suffix", "invalidates": "label_risks"}
"""Former names of fields of `Modality` -> what they are called now."""


def _takes_former_names(cls: type) -> None:
    """Let a class be made, and read, with the former names of its fields; making says what they are called now."""
    make = cls.__dict__["__init__"]

    @wraps(make)
    def init(self: Any, *args: Any, **fields: Any) -> None:
        for former in RENAMED.keys() & fields.keys():
            warn(f"{cls.__name__}({former}=...) is called {RENAMED[former]} now.", FutureWarning, stacklevel=2)
            fields[RENAMED[former]] = fields.pop(former)
        make(self, *args, **fields)

    type.__setattr__(cls, "__init__", init)
    for former, name in RENAMED.items():
        setattr(cls, former, property(attrgetter(name), doc=f"Former name of `{name}`."))


_takes_former_names(Modality)
