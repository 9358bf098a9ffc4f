"""NaN or infinity in a step: find where it began, and save the step so that it can be run again."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bam_core.errors import BAMError


def first_nonfinite(module: nn.Module, batch: Any, run: Callable[[], Any]) -> str | None:
    """Run a step once more and say in words where the first value that is not finite appears; None if nowhere.

    Args:
        module: holds the weights and layers of the step.
        batch: of the step.
        run: the step; returns something with a `loss`.
    """
    if not _all_finite(batch):
        return "the batch itself: the reader let NaN or infinity through"
    for name, parameter in module.named_parameters():
        if not _all_finite(parameter):
            return f"the weights {name}, broken by an earlier step"
    found: list[str] = []
    with torch.no_grad(), _watched(module, found):
        try:
            output = run()
        except BAMError:
            return found[0] if found else None
    if found:
        return found[0]
    return None if _all_finite(output.loss) else "the loss itself"


def save_step(module: nn.Module, batch: Any, step: int, where: str, folder: Path, view_shards: range) -> str:
    """Save weights, batch and step number for `bam replay`; returns a message that says how to run it."""
    target = step_folder(folder, step)
    target.mkdir(parents=True, exist_ok=True)
    shards = [view_shards.start, view_shards.stop]
    torch.save({"batch": batch, "state_dict": module.state_dict(), "view_shards": shards}, target / "step.pt")
    (target / "about.json").write_text(json.dumps({"step": step, "where": where}, indent=1), encoding="utf-8")
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
