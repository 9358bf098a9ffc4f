"""NaN or infinity in a step: find where it began, and save the step so that it can be run again."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bam_core.errors import BAMError
from bam_core.outputs import make_folder, write_text, written
from bam_core.sharding import to_full


def first_nonfinite(module: nn.Module, batch: Any, run: Callable[[], Any]) -> str | None:
    """Run a step once more and say in words where the first value that is not finite appears; None if nowhere.

    Every rank has to call this together, and runs the step whatever it knows already: the loss waits for all.

    Args:
        module: holds the weights and layers of the step.
        batch: of the step.
        run: the step; returns something with a `loss`.
    """
    weight = broken_weight(module)
    found: list[str] = []
    if not _all_finite(batch):
        found.append("the batch itself: the reader let NaN or infinity through")
    elif weight is not None:
        found.append(f"the weights {weight}, broken by an earlier step")
    with torch.no_grad(), _watched(module, found):
        try:
            output = run()
        except BAMError:
            return found[0] if found else None
    if found:
        return found[0]
    return None if _all_finite(output.loss) else "the loss itself"


def broken_weight(module: nn.Module) -> str | None:
    """Name of the first parameter that is not finite; every rank has to call this together."""
    return next((name for name, weight in module.named_parameters() if not _all_finite(to_full(weight.detach()))), None)


def save_step(content: dict[str, Any] | None, where: str, folder: Path, step: int) -> str:
    """Save what `bam replay` needs to run a step again, and where NaN or infinity began in it.

    Args:
        content: of the step; None if another rank saves it.
        where: in words.
        folder: of the run.
        step: its number.

    Returns:
        How to run it again, in words.
    """
    target = step_folder(folder, step)
    if content is not None:
        make_folder(target)
        with written(target / "step.pt") as partial, partial.open("wb") as file:
            torch.save(content, file)
        write_text(target / "about.json", json.dumps({"step": step, "where": where}, indent=1))
    return f" Batch and weights are in {target}; run the step again with: bam replay {folder} {step}."


def step_folder(folder: Path, step: int) -> Path:
    """Where a run keeps a step that was not finite."""
    return folder / "nonfinite" / f"step={step:08d}"


@contextmanager
def _watched(module: nn.Module, found: list[str]) -> Iterator[None]:
    """Note where the first value that is not finite comes out of a module whose inputs are finite."""
    before = ["the views"]

    def hook(name: str) -> Any:
        def look(layer: nn.Module, inputs: Any, output: Any) -> None:
            if found:
                return
            if not _all_finite(inputs):
                found.append(f"what goes into {name} ({type(layer).__name__}), after {before[0]}")
            elif not _all_finite(output):
                found.append(f"the output of {name} ({type(layer).__name__}); its input is finite")
            before[0] = name

        return look

    handles = [layer.register_forward_hook(hook(name)) for name, layer in module.named_modules() if name]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _all_finite(value: Any) -> bool:
    if isinstance(value, Tensor):
        return not value.is_floating_point() or bool(value.isfinite().all())
    if isinstance(value, dict):
        return all(_all_finite(part) for part in value.values())
    if isinstance(value, list | tuple):
        return all(_all_finite(part) for part in value)
    return True
