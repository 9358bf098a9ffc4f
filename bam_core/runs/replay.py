"""Run a step again that was not finite."""

from pathlib import Path

import torch

from bam_core.config.build import build
from bam_core.errors import DataError
from bam_core.runs.run_folder import load_run
from bam_core.training.module import PretrainModule
from bam_core.training.nonfinite import step_folder


def replay(folder: Path, step: int | None = None, *, trusted: bool = False) -> str:
    """Run a saved step again.

    Args:
        folder: of the run.
        step: which one; default: the first that was saved.
        trusted: run the Python files that the run names, also if somebody else made it.

    Returns:
        In words, where the first value that is not finite appears.

    Raises:
        DataError: no such step was saved.
    """
    saved = {int(f.name.partition("=")[2]): f for f in sorted((folder / "nonfinite").glob("step=*"))}
    if not saved or (step is not None and step not in saved):
        known = f"saved are {', '.join(map(str, saved))}" if saved else "none was saved"
        raise DataError(f"expected a saved step in {folder / 'nonfinite'}; {known}.")
    step = next(iter(saved)) if step is None else step
    recipe = load_run(folder, trusted=trusted)
    content = torch.load(step_folder(folder, step) / "step.pt", map_location="cpu", weights_only=True)
    objective = build(recipe).objective(total_steps=1, state_follows=True)
    module = PretrainModule(
        objective,
        recipe.train,
        total_steps=1,
        steps_per_epoch=1,
        folder=folder,
        view_shards=range(*content["view_shards"]),
    )
    module.load_state_dict(content["state_dict"])
    where = module.first_nonfinite(content["batch"], step, content["part"])
    return f"step {step}: " + (f"NaN or infinity begins in {where}." if where else "everything is finite this time.")
