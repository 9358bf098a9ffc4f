"""Every rule of `check_modality` can be broken, and is then named: the skeleton of `bam new modality`, spoilt."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import bam_core.cli
from bam_core import BAMError, ContractError, InputError, Views
from bam_core.config.registry import load_modality
from bam_core.data import PreparedData
from bam_core.testing import check_modality

SKELETON = Path(bam_core.cli.__file__).parent / "templates" / "my_modality.py"
GOOD = load_modality(f"{SKELETON}:MODALITY")
NET, VIEWS = GOOD.encoders["small"], GOOD.views["random"]


def other_data(**changes):
    """The example with other facts or splits."""

    def example() -> PreparedData:
        return replace(GOOD.example(), **{k: v(GOOD.example()) for k, v in changes.items()})

    return {"example": example}


def other_views(make):
    """Views that are made from those of the skeleton."""

    class Spoilt:
        def __init__(self) -> None:
            self.good = VIEWS()

        def __call__(self, batch, *, generator=None):
            return make(self.good, batch, generator)

    return {"views": {"random": Spoilt}}


def other_net(change=lambda net: None, forward=lambda good, x: good(x)):
    """The network with something changed."""

    class Spoilt(NET):
        def forward(self, x):
            return forward(super().forward, x)

    def factory(*, in_channels: int):
        net = Spoilt(in_channels=in_channels, width=4)
        change(net)
        return net

    return {"encoders": {"small": factory}}


def positional(path: str):
    return GOOD.example()


def untyped(*, size=3):
    return VIEWS()


def named(*, in_channels: int, name: str = "x"):
    return NET(in_channels=in_channels)


def needing(*, in_channels: int, model: str):
    return NET(in_channels=in_channels)


def open_fitted(*, path: str, fitted: dict[str, int]):
    return GOOD.example()


def in_place(good, batch, generator):
    made = good(batch, generator=generator)
    batch.mul_(2)
    return made


def global_noise(good, batch, generator):
    return [view + torch.randn_like(view) for view in good(batch, generator=generator).global_views]


def looked_at(good, batch, generator):
    return [view / float(view.max()) for view in good(batch, generator=generator).global_views]


def without_generator():
    return {"views": {"random": lambda: lambda batch: VIEWS()(batch)}}


def no_test(data):
    return {"train": data.splits["train"]}


def ids_twice(data):
    return {k: v.remove_columns("id").add_column("id", ["same"] * len(v)) for k, v in data.splits.items()}


def one_class(data):
    return {k: v.remove_columns("label").add_column("label", np.zeros(len(v), int)) for k, v in data.splits.items()}


def few(data):
    return {k: v.select(range(5)) for k, v in data.splits.items()}


def frozen(net):
    for p in net.parameters():
        p.requires_grad_(False)


def unused(net):
    net.extra = torch.nn.Linear(2, 2)


def row_by_row(good, x):
    return good(x) - good(x).mean(dim=0)


counter = iter(range(1000))

BROKEN = {
    "it is a bam_core.protocols.Modality with a name.*''": {"name": ""},
    "at least one of each.*no views": {"views": {}},
    "keyword-only.*reader 'files': path: str can be given by position": {
        "readers": {"files": positional},
        "reader_for_suffix": {},
    },
    "keyword-only.*views 'random': size=3 has no type": {"views": {"random": untyped}},
    "keyword-only.*encoder 'small' has an option 'name'": {"encoders": {"small": named}},
    "`reader_for_suffix` maps.*'.csv' goes to 'file', which is no reader": {"reader_for_suffix": {".csv": "file"}},
    "`reader_for_suffix` maps.*the kind 'csv'": {"reader_for_suffix": {"csv": "files"}},
    "`reader_for_suffix` maps.*reader 'example' has no `path`": {"reader_for_suffix": {".csv": "example"}},
    "`fitted` is None for training data.*'files'": {"readers": {"files": open_fitted}, "reader_for_suffix": {}},
    "from_memory takes.*no keyword `fitted`": {"from_memory": lambda rows: GOOD.example()},
    "from_memory takes.*options that can be given": {"from_memory": lambda rows, fitted=None: GOOD.example()},
    "to_files takes.*rows and folder not by position": {"to_files": lambda rows, *, folder, labels, groups: {}},
    "to_files takes.*options that can be given": {"to_files": lambda rows, folder, labels, *, groups: {}},
    "to_files takes.*no keywords `labels`": {"to_files": lambda rows, folder, *, groups: {}},
    "returns prepared data.*fingerprints differ": other_data(fingerprint=lambda d: str(next(counter))),
    "splits train and test.*splits train\\.": other_data(splits=no_test),
    "splits train and test.*5 rows to train on": other_data(splits=few),
    "unique ids.*come twice": other_data(splits=ids_twice),
    "labels are indices.*one class only": other_data(splits=one_class),
    "labels are indices.*no classes": other_data(facts=lambda d: {**d.facts, "classes": []}),
    "plain JSON.*shape come back": other_data(facts=lambda d: {**d.facts, "shape": (1, 120)}),
    "collate makes.*NaN or infinity": {"collate": lambda columns, facts: GOOD.collate(columns, facts) * torch.nan},
    "collate makes.*1 samples of 16": {"collate": lambda columns, facts: GOOD.collate(columns, facts)[:1]},
    r"given to check_modality\(encoders=\{'small': ...\}\).*'model'": {"encoders": {"small": needing}},
    "`label_risks` names.*'noise'": {"label_risks": {"window": "a", "scale": "b"}},
    "`label_risks` names.*nothing is said of window": {"label_risks": {**GOOD.label_risks, "window": ""}},
    "keyword `generator`": without_generator(),
    "at least twice.*1 view": other_views(lambda good, batch, g: good(batch, generator=g).global_views[:1]),
    "finite numbers.*NaN": other_views(lambda good, batch, g: [batch + torch.nan] * 2),
    "leave the batch as it is.*in place": other_views(in_place),
    "the same generator.*use a global one": other_views(global_noise),
    "the same generator.*differ though": other_views(lambda good, batch, g: [batch + next(counter), batch]),
    "the same generator.*the same for another seed": other_views(lambda good, batch, g: [batch, 2 * batch]),
    "views differ.*first two": other_views(lambda good, batch, g: good(batch, generator=g).global_views[:1] * 2),
    "single sample.*nothing to mix": other_views(lambda good, batch, g: alone(good, batch, g)),
    "on the device of the batch.*_local_scalar_dense": other_views(looked_at),
    "on the device of the batch.*lie on cpu": other_views(lambda good, batch, g: on_cpu(good, batch, g)),
    "refuses it by a BAMError.*RuntimeError": other_net(forward=lambda good, x: torch.ones(2) + torch.ones(3)),
    r"takes one kind of views at least.*must map a view to a tensor of shape \(b, d\)": other_net(
        forward=lambda good, x: good(x)[..., None]
    ),
    "finite gradient.*no parameter": other_net(frozen),
    "finite gradient.*extra.weight of encoder 'small' has no part": other_net(unused),
    "alone and in a batch.*deviations away": other_net(forward=row_by_row),
    r"raw_features gives \(b, k\).*shape": {"raw_features": lambda batch: batch},
    "raw_features gives.*alone has other features": {"raw_features": lambda b: b.flatten(1) - b.flatten(1).mean(0)},
    "draw draws.*nothing drawn of a sample of the batch": {"draw": lambda axes, sample: None},
}


def alone(good, batch, generator):
    if len(batch) < 2:
        raise InputError("nothing to mix")
    return good(batch, generator=generator)


def on_cpu(good, batch, generator):
    if batch.device.type == "cpu":
        return good(batch, generator=generator)
    return [torch.zeros(len(batch), 1, 9, device="cpu")] * 2


class Forgetful(NET):
    """A weight that is in no state dict."""

    def __init__(self, *, in_channels: int) -> None:
        super().__init__(in_channels=in_channels, width=4)
        self.scale = float(next(counter)) + 1

    def forward(self, x):
        return self.scale * super().forward(x)


class Counting(NET):
    """Its statistics follow every pass, also the second of a micro-batch."""

    def __init__(self, *, in_channels: int) -> None:
        super().__init__(in_channels=in_channels, width=4)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        self.seen += self.training
        return super().forward(x)


BROKEN["second pass changes no buffer.*seen of encoder 'small' changed"] = {"encoders": {"small": Counting}}
BROKEN["comes back the same"] = {"encoders": {"small": Forgetful}}


def test_the_skeleton_is_good():
    check_modality(GOOD, encoders={"small": {"width": 4}})


@pytest.mark.parametrize(("message", "changes"), BROKEN.items(), ids=range(len(BROKEN)))
def test_a_broken_rule_is_named(message, changes):
    with pytest.raises(ContractError, match=f"(?s)breaks a rule of its protocol: .*{message}"):
        check_modality(replace(GOOD, **copy.copy(changes)))


def test_slow_examples(monkeypatch):
    monkeypatch.setattr("bam_core.testing.modality.EXAMPLE_SECONDS", 0.0)
    with pytest.raises(ContractError, match="about a second of one core"):
        check_modality(GOOD)


def test_views_that_no_encoder_takes():
    class Pairs:
        """Views of two channels."""

        def __call__(self, batch, *, generator=None):
            return Views([v.expand(-1, 2, -1) for v in VIEWS()(batch, generator=generator).global_views])

    modality = replace(GOOD, views={**GOOD.views, "pairs": Pairs})
    with pytest.raises(ContractError, match=r"an encoder that takes them.*no encoder takes pairs"):
        check_modality(modality, encoders={"small": {"width": 4}})


def test_it_is_one_of_our_errors():
    assert issubclass(ContractError, BAMError)
    assert issubclass(ContractError, AssertionError)
