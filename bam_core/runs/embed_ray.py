"""`bam embed --engine ray`: the parts of `embed_parts`, made by the machines of a Ray cluster.

Ray Data hands out what is to be done, a source or a part of the only source, to actors that hold the encoder. An actor
writes parts as the local engine does, each whole under its name, so a piece that Ray gives out twice, or that a dead
machine left half done, does no harm; the same command goes on after a kill of anything. All machines see the same
folders under the same paths. One processor is left to Ray: with as many actors as processors, a restart hangs.
"""

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from bam_core.errors import InputError
from bam_core.runs.embed import Written
from bam_core.runs.embed_parts import Opened, PartWriter, Task
from bam_core.runs.lock import only_here
from bam_core.runs.new_data import options_of
from bam_core.runs.sources import check_output


def embed_on_cluster(
    folder: Path,
    path: Path,
    output: Path,
    *,
    overrides: Iterable[str] = (),
    teacher: bool = False,
    trusted: bool = False,
    part_rows: int | None = None,
) -> Written:
    """As `embed_parts`, on the Ray cluster that `RAY_ADDRESS` names, or on all processors or GPUs of this machine.

    Args:
        folder: see `embed_parts`, as for the others; on a file system that all machines share.
        path: as there.
        output: as there.
        overrides: as there.
        teacher: as there.
        trusted: as there.
        part_rows: as there.

    Raises:
        InputError: Ray is not installed.
        BAMError: as `embed_parts`.
    """
    try:
        import ray
    except ModuleNotFoundError as error:
        raise InputError(
            "the engine 'ray' expected Ray, which is not installed: pip install 'bam-ssl[cluster]'."
        ) from error
    task = Task(folder.resolve(), path.resolve(), output.resolve(), options_of(overrides), teacher, trusted, part_rows)
    check_output(path, output)
    with only_here(output, what="folder", way_out="write to another"):
        writer = PartWriter(task)
        writer.begin()
        opened = writer.open(0) if len(writer.sources) == 1 and writer.to_do() else None
        pieces = (
            [{"source": number, "part": -1} for number in writer.to_do()]
            if opened is None
            else [{"source": 0, "part": part} for part in range(len(opened.parts))]
        )
        if pieces:
            started = not ray.is_initialized()
            if started:
                ray.init(log_to_driver=False, include_dashboard=False)
            try:
                _work(ray, task, pieces)
            finally:
                if started:
                    ray.shutdown()
        if opened is not None:
            writer.close(opened)
        return writer.finish()


def _work(ray: Any, task: Task, pieces: list[dict[str, int]]) -> None:
    data = import_module("ray.data")
    resources = ray.cluster_resources()
    gpus = int(resources.get("GPU", 0))
    most = gpus or max(1, int(resources.get("CPU", 1)) - 1)
    done = data.from_items(pieces, override_num_blocks=len(pieces)).map_batches(
        _Actor,
        fn_constructor_args=(task,),
        batch_size=1,
        num_gpus=int(gpus > 0),
        compute=data.ActorPoolStrategy(min_size=1, max_size=min(most, len(pieces))),
    )
    for _ in done.iter_batches(batch_size=1):
        pass


class _Actor:
    """Holds the encoder, and the only source if there is one."""

    def __init__(self, task: Task) -> None:
        self.writer = PartWriter(task)
        self.opened: Opened | None = None

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        for source, part in zip(batch["source"].tolist(), batch["part"].tolist(), strict=True):
            if part < 0:
                self.writer.embed_source(source)
                continue
            self.opened = self.opened or self.writer.open(source)
            self.writer.write(self.opened, part)
        return batch
