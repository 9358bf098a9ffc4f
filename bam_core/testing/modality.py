"""`check_modality`: what the protocol promises of an adapter, tried on its own example."""

import inspect
import json
import tempfile
import time
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from bam_core.config.registry import complete, keyword_parameters
from bam_core.protocols import Batch, Modality
from bam_core.testing.baselines import check_baselines
from bam_core.testing.contract import Contract
from bam_core.testing.networks import Network, check_encoder
from bam_core.testing.views import Maker, check_views
from bam_core.views import batch_size, leaves

N_ROWS = 16
EXAMPLE_SECONDS = 1.0  # of processor time
Options = Mapping[str, Mapping[str, Any]]


def check_modality(modality: Modality, *, views: Options | None = None, encoders: Options | None = None) -> None:
    """Check everything that `bam_core.protocols.Modality` promises; call it in a test of your adapter.

    It runs on `modality.example()`, in some seconds on one core, and leaves nothing behind.

    Args:
        modality: the adapter.
        views: name of views -> options that neither have defaults nor are facts of the example, or that switch more on.
        encoders: the same for encoders; also what makes large ones small.

    Raises:
        ContractError: the first broken rule, and what came instead.

    Example:
        >>> from modalities.timeseries import MODALITY  # doctest: +SKIP
        >>> check_modality(MODALITY, encoders={"resnet1d": {"width": 8}})  # doctest: +SKIP
    """
    contract = Contract(f"modality {getattr(modality, 'name', modality)!r}")
    _declarations(contract, modality)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        data = _example(contract, modality, Path(folder))
        facts = _facts(contract, data)
        bound = modality.with_facts(facts)
        rows = data.splits["train"]

        def take(indices: list[int]) -> Batch:
            from bam_core.data import SplitDataset

            return SplitDataset(rows, modality.collate, facts).__getitems__(indices)

        batch = _batches(contract, take, len(rows))
        makers = [
            Maker(name, _made(contract, "views", name, factory, (views or {}).get(name, {}), facts)[0])
            for name, factory in modality.views.items()
        ]
        _label_risks(contract, modality, facts)
        for maker in makers:
            check_views(contract, maker, batch, take)
        fitted = set()
        for name, factory in modality.encoders.items():
            given = (encoders or {}).get(name, {})
            torch.manual_seed(0)
            encoder, options = _made(contract, "encoder", name, factory, given, facts)
            network = Network(name, encoder, options)
            fitted |= check_encoder(contract, bound, network, makers, batch, take, facts, Path(folder))
        with contract.rule("every kind of views has an encoder that takes them") as need:
            alone = [maker.name for maker in makers if maker.name not in fitted]
            need(not alone, f"no encoder takes {', '.join(alone)}")
        _raw_features(contract, bound, batch, take)
        check_baselines(contract, modality, rows, facts)
        _drawings(contract, bound, batch, makers)


def _declarations(contract: Contract, modality: Modality) -> None:
    with contract.rule("it is a bam_core.protocols.Modality with a name") as need:
        need(isinstance(modality, Modality), f"a {type(modality).__name__}")
        need(modality.name and isinstance(modality.name, str), f"the name {modality.name!r}")
    groups = {"readers": modality.readers, "views": modality.views, "encoders": modality.encoders}
    with contract.rule("readers, views and encoders are functions by name, at least one of each") as need:
        for kind, functions in groups.items():
            need(functions, f"no {kind}")
            need(all(map(callable, functions.values())), f"{kind} that cannot be called")
    for kind, functions in groups.items():
        reserved = "reader" if kind == "readers" else "name"
        for name, function in functions.items():
            _options(contract, f"{kind[:-1] if kind != 'views' else kind} {name!r}", function, reserved)
    with contract.rule(
        '`reader_for_suffix` maps "" or suffixes such as ".csv" to names of readers, which have a keyword `path`'
    ) as (need):
        for kind in modality.reader_for_suffix:
            need(kind == "" or (kind.startswith(".") and kind == kind.lower()), f"the kind {kind!r}")
            for name in modality.readers_of(kind):
                need(name in modality.readers, f"{kind!r} goes to {name!r}, which is no reader")
                need("path" in inspect.signature(modality.readers[name]).parameters, f"reader {name!r} has no `path`")
    if modality.from_memory is not None:
        with contract.rule("from_memory takes (rows, *, fitted=None, **options)") as need:
            rows, *options = inspect.signature(modality.from_memory).parameters.values()
            need(rows.kind is not rows.KEYWORD_ONLY, "rows cannot be given by position")
            need(all(option.kind is option.KEYWORD_ONLY for option in options), "options that can be given by position")
            need("fitted" in [option.name for option in options], "no keyword `fitted`")
    if modality.to_files is not None:
        with contract.rule("to_files takes (rows, folder, *, labels=None, groups=None, **options)") as need:
            found = list(inspect.signature(modality.to_files).parameters.values())
            need(all(one.kind is not one.KEYWORD_ONLY for one in found[:2]), "rows and folder not by position")
            need(all(one.kind is one.KEYWORD_ONLY for one in found[2:]), "options that can be given by position")
            need({"labels", "groups"} <= {one.name for one in found[2:]}, "no keywords `labels` and `groups`")
    with contract.rule("a reader's keyword `fitted` is None for training data") as need:
        for name, reader in modality.readers.items():
            fitted = inspect.signature(reader).parameters.get("fitted")
            need(fitted is None or fitted.default is None, f"reader {name!r}: {fitted}")


def _options(contract: Contract, what: str, function: Callable[..., Any], reserved: str) -> None:
    """A recipe's section is the function's keyword arguments, checked by their types."""
    from bam_core.config.options import options_model

    with contract.rule(
        "options are keyword-only, typed, and none is called as the key that chooses the function"
    ) as need:
        for parameter in inspect.signature(function).parameters.values():
            need(parameter.kind is parameter.KEYWORD_ONLY, f"{what}: {parameter} can be given by position, or is open")
            need(parameter.annotation is not parameter.empty, f"{what}: {parameter} has no type")
            need(parameter.name != reserved, f"{what} has an option {reserved!r}")
        options_model(function)


def _example(contract: Contract, modality: Modality, folder: Path) -> Any:
    """The example, made in several empty caches."""
    from bam_core.data import PreparedData

    numbers = iter(range(10))

    def make() -> tuple[Any, float]:
        with patch.dict("os.environ", {"BAM_CACHE": str(folder / f"cache {next(numbers)}")}):
            start = time.process_time()
            return modality.example(), time.process_time() - start

    with contract.rule("example() returns prepared data, the same every time") as need:
        data, _ = make()
        need(isinstance(data, PreparedData), f"a {type(data).__name__}")
        again, seconds = make()
        need(data.fingerprint == again.fingerprint, "fingerprints differ")
        need(
            {k: len(v) for k, v in data.splits.items()} == {k: len(v) for k, v in again.splits.items()}, "sizes differ"
        )
        first, second = (repr(d.splits["train"].with_format(None)[:N_ROWS]) for d in (data, again))
        need(first == second, "rows differ")
    with contract.rule("example() takes about a second of one core at most") as need:
        for _ in range(2):
            seconds = min(seconds, make()[1]) if seconds > EXAMPLE_SECONDS else seconds
        need(seconds <= EXAMPLE_SECONDS, f"{seconds:.1f} s")
    with contract.rule(
        "the example has splits train and test, labels in both, unique ids, and groups in one split"
    ) as (need):
        need({"train", "test"} <= set(data.splits), f"splits {', '.join(data.splits)}")
        need(len(data.splits["train"]) >= N_ROWS, f"{len(data.splits['train'])} rows to train on, not {N_ROWS}")
        columns = {tuple(sorted(rows.column_names)) for rows in data.splits.values()}
        need(len(columns) == 1, f"splits of different columns: {columns}")
        for split, rows in data.splits.items():
            need({"id", "label"} <= set(rows.column_names), f"{split} has the columns {', '.join(rows.column_names)}")
            need(len(set(rows["id"])) == len(rows), f"ids of {split} come twice")
        groups = [set(found.tolist()) for split in data.splits if (found := data.groups(split)) is not None]
        need(len(set().union(*groups)) == sum(map(len, groups)), "a group is in two splits")
    with contract.rule(
        "labels are indices of facts['classes'], -1 for none; rows of 0 and 1; or numbers, NaN for none"
    ) as need:
        for split in data.splits:
            labels, n = data.labels(split), len(data.facts.get("classes") or ())
            if data.facts.get("task") == "regression":
                need(labels.dtype == np.float64 and np.nanstd(labels) > 0, f"{labels.dtype}, {np.unique(labels)[:5]}")
                continue
            need(n, "no classes in the facts")
            if data.multi_label:
                need(labels.shape[1] == n and np.isin(labels, (0, 1)).all(), f"labels of shape {labels.shape}")
            else:
                need(labels.dtype == np.int64 and labels.min() >= -1 and labels.max() < n, f"{np.unique(labels)}")
                need(len(np.unique(labels[labels >= 0])) > 1, f"one class only in {split}")
    return data


def _facts(contract: Contract, data: Any) -> dict[str, Any]:
    """The facts as they come back from a saved encoder."""
    with contract.rule("facts are plain JSON") as need:
        back: dict[str, Any] = json.loads(json.dumps(dict(data.facts), allow_nan=False))
        changed = [name for name in data.facts if back.get(name) != data.facts[name]]
        need(not changed, f"{', '.join(changed)} come back as something else (tuples, or keys that are no strings)")
    return back


def _batches(contract: Contract, take: Callable[[list[int]], Batch], n_rows: int) -> Batch:
    with contract.rule(
        "collate makes a tensor, or a dict or tuple of tensors, of finite numbers, a sample a row"
    ) as need:
        for indices in (list(range(min(N_ROWS, n_rows))), [n_rows - 1]):
            made = take(indices)
            need(batch_size(made) == len(indices), f"{batch_size(made)} samples of {len(indices)} rows")
            need(all(leaf.isfinite().all() for leaf in leaves(made)), "NaN or infinity")
    return take(list(range(N_ROWS)))


def _made(
    contract: Contract,
    kind: str,
    name: str,
    factory: Callable[..., Any],
    given: Mapping[str, Any],
    facts: dict[str, Any],
) -> tuple[Any, dict[str, Any]]:
    argument = "views" if kind == "views" else "encoders"
    with contract.rule(
        f"options without a default are facts of the data, or given to check_modality({argument}={{{name!r}: ...}})"
    ):
        options = complete(f"{kind} {name!r}", factory, given, facts)
    with contract.rule(f"{kind} {name!r} can be made of facts and options"):
        return factory(**options), options


def _label_risks(contract: Contract, modality: Modality, facts: Mapping[str, Any]) -> None:
    """Options of views that are neither facts nor numbers of views, probabilities or switches are changes."""
    with contract.rule(
        "`label_risks` names the labels that each change of the views may destroy; a change that destroys none says so"
    ) as need:
        wrong = [key for key, labels in modality.label_risks.items() if not (isinstance(labels, str) and labels)]
        need(not wrong, f"nothing is said of {', '.join(wrong)}")
        for name, factory in modality.views.items():
            for parameter in keyword_parameters(factory):
                option = parameter.name.removeprefix("local_")
                known = any(option == key or option.startswith(f"{key}_") for key in modality.label_risks)
                need(
                    known or parameter.name in facts or not _is_change(parameter),
                    f"views {name!r} have an option {parameter.name!r} that no key of it covers",
                )


def _is_change(parameter: inspect.Parameter) -> bool:
    if parameter.name == "p" or parameter.name.endswith("_p"):
        return False
    types = str(parameter.annotation if isinstance(parameter.annotation, str) else _name(parameter.annotation))
    return "float" in types or "tuple" in types


def _name(annotation: Any) -> str:
    return (
        annotation.__name__ if inspect.isclass(annotation) and not hasattr(annotation, "__args__") else str(annotation)
    )


def _raw_features(contract: Contract, modality: Modality, batch: Batch, take: Callable[[list[int]], Batch]) -> None:
    with contract.rule("raw_features gives (b, k) finite numbers, the same for a row alone and in a batch") as need:
        together = modality.raw_features(batch)
        need(together.ndim == 2 and len(together) == N_ROWS, f"shape {tuple(together.shape)} for {N_ROWS} rows")
        need(together.is_floating_point() and together.isfinite().all(), "no numbers, NaN or infinity")
        for row in (0, N_ROWS - 1):
            alone = modality.raw_features(take([row]))
            need(alone.shape == (1, together.shape[1]), f"shape {tuple(alone.shape)} for one row")
            need(torch.allclose(alone[0], together[row], rtol=1e-3, atol=1e-4), f"row {row} alone has other features")


def _drawings(contract: Contract, modality: Modality, batch: Batch, makers: list[Maker]) -> None:
    """Without pyplot, which keeps figures and may want a screen."""
    from matplotlib.figure import Figure

    from bam_core.reports.pictures import take_sample

    with contract.rule("draw draws a sample, and a sample of every view, on matplotlib axes") as need:
        for name, view in [
            ("the batch", batch),
            *((maker.name, view) for maker in makers for view in maker.draw(batch)),
        ]:
            figure = Figure()
            axes = figure.subplots()
            before = len(axes.get_children())
            modality.draw(axes, take_sample(view, 0))
            figure.savefig(BytesIO(), format="png")
            need(len(axes.get_children()) > before, f"nothing drawn of a sample of {name}")
