"""The evaluations that papers on ImageNet report, as `bam evaluate RUN --protocol NAME`, for image runs of any size.

They differ from `bam_core.runs.evaluate_run` in that labels may train the whole network, and in what is fixed: the
recipe of the field, not the search inside train. Each leaves `protocols/NAME-HASH/result.json` in the run folder, HASH
being that of its settings.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from bam_core.collectives import rank
from bam_core.config.build import read_data
from bam_core.config.registry import did_you_mean
from bam_core.config.schema import may_change
from bam_core.errors import DataError, RecipeError
from bam_core.imagenet.classifier import Accuracy
from bam_core.imagenet.protocols import PROTOCOLS, Network, ProtocolRequest
from bam_core.imagenet.settings import ClassifierSettings
from bam_core.outputs import make_folder, write_text
from bam_core.probes.results import Results
from bam_core.runs.environment import environment
from bam_core.runs.run_folder import check_data, file_digest, load_run, weights_digest


@dataclass(frozen=True)
class ProtocolResult:
    """What a protocol found.

    Attributes:
        protocol: its name.
        network: student, teacher or untrained.
        settings: all values.
        results: a table, for protocols on frozen embeddings.
        history: top-1 and top-5 after every epoch, for those that train.
        rows: numbers of rows: to learn from, and to evaluate on, with the name of the split.
        path: of the file.
    """

    protocol: str
    network: Network
    settings: Mapping[str, Any]
    results: Results | None
    history: tuple[Accuracy, ...]
    rows: Mapping[str, Any]
    path: Path

    @property
    def last(self) -> Accuracy:
        """The last epoch: the figure to report."""
        return self.history[-1]

    @property
    def best(self) -> Accuracy:
        """The best epoch, chosen on the very rows that it is evaluated on: flattering."""
        return max(self.history, key=lambda accuracy: accuracy.top1)

    @classmethod
    def load(cls, path: Path) -> "ProtocolResult":
        """Read what `save` wrote about a training.

        Raises:
            DataError: the file is none of ours.
        """
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            history = tuple(Accuracy(int(epoch), top1, top5) for epoch, top1, top5 in found["epochs"])
            return cls(found["protocol"], found["network"], found["settings"], None, history, found["rows"], path)
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} is no result of a protocol ({error!r}). Delete it to evaluate again.") from error

    def save(self, about: Mapping[str, Any]) -> None:
        """Write the file, with what a reader needs to repeat it."""
        found: dict[str, Any] = {"protocol": self.protocol, "network": self.network, "settings": dict(self.settings)}
        found |= {"rows": dict(self.rows), **about}
        if self.results is not None:
            found["results"] = self.results.to_plain()
        if self.history:
            found["last"], found["best"] = self.last._asdict(), self.best._asdict()
            found["epochs"] = [list(accuracy) for accuracy in self.history]
        make_folder(self.path.parent)
        write_text(self.path, json.dumps(found, indent=1))


def run_protocol(
    folder: Path,
    protocol: str,
    overrides: Mapping[str, Any],
    *,
    network: Network = "student",
    progress: bool = True,
    trusted: bool = False,
) -> ProtocolResult:
    """Evaluate a run by one of the `PROTOCOLS`.

    Args:
        folder: of the run.
        protocol: name.
        overrides: of the settings of the protocol.
        network: which encoder; "untrained" is that of the recipe's seed before pretraining, for comparison.
        progress: show bars.
        trusted: run the Python files that the run names, also if somebody else made it.

    Returns:
        What was found; it is in the run folder, too.

    Raises:
        RecipeError: no such protocol or setting; a run that is none of images, or has no such encoder.
        DataError: labels missing in train or in the split to evaluate on; data that are not those that the run
            was begun with.
        KeyboardInterrupt: it was interrupted; the same command goes on.
    """
    if protocol not in PROTOCOLS:
        hint = did_you_mean(protocol, PROTOCOLS)
        raise RecipeError(f"--protocol expected one of {', '.join(PROTOCOLS)}; got {protocol!r}{hint}")
    model, function = PROTOCOLS[protocol]
    settings = _checked(model, protocol, overrides)
    _check_processes(protocol, settings)
    recipe = load_run(folder, trusted=trusted)
    data = read_data(recipe)
    check_data(folder, data)
    identity = _identity(folder, network, settings, data.fingerprint)
    target = folder / "protocols" / f"{protocol}-{identity}" / "result.json"
    if target.is_file() and isinstance(settings, ClassifierSettings):
        return ProtocolResult.load(target)
    found = function(ProtocolRequest(folder, recipe, data, network, target.parent, progress, trusted), settings)
    values = settings.model_dump(mode="json")
    judged = ProtocolResult(protocol, network, values, found.results, found.history, found.rows, target)
    if rank() == 0:
        known = environment(recipe.recipe, found.data)
        about = {key: known[key] for key in ("command", "started", "versions", "machine")}
        judged.save({**about, "data": found.data.fingerprint})
    return judged


def _check_processes(protocol: str, settings: BaseModel) -> None:
    """Somebody else may have started several of us."""
    started = int(os.environ.get("WORLD_SIZE", 1))
    devices, nodes = getattr(settings, "devices", 1), getattr(settings, "num_nodes", 1)
    if started > 1 and devices != "auto" and started != int(devices) * nodes:
        options = f"devices={started // nodes}" if isinstance(settings, ClassifierSettings) else "one process"
        raise RecipeError(
            f"--protocol {protocol}: {started} processes were started (WORLD_SIZE), for {devices} device(s) on {nodes} "
            f"machine(s). Take {options}."
        )


def _identity(folder: Path, network: Network, settings: BaseModel, data: str) -> str:
    """Eight digits of settings, data, weights and list of labels: others must not go on with a training of these."""
    found = hashlib.sha256(
        json.dumps([network, settings.model_dump(exclude=may_change(type(settings))), data], sort_keys=True).encode()
    )
    if network != "untrained":
        found.update(weights_digest(folder, teacher=network == "teacher"))
    if isinstance(settings, ClassifierSettings) and settings.labels is not None:
        found.update(file_digest(Path(settings.labels)))
    return found.hexdigest()[:8]


def _checked(model: type[BaseModel], protocol: str, overrides: Mapping[str, Any]) -> Any:
    try:
        return model.model_validate(dict(overrides))
    except ValidationError as error:
        lines = []
        for e in error.errors():
            key = ".".join(str(part) for part in e["loc"])
            hint = did_you_mean(key, model.model_fields) if e["type"] == "extra_forbidden" else ""
            lines.append(f"  {key}: {e['msg'][0].lower()}{e['msg'][1:]}{hint}")
        known = ", ".join(model.model_fields)
        raise RecipeError(
            f"--protocol {protocol}: settings have mistakes (known: {known}):\n" + "\n".join(lines)
        ) from error
