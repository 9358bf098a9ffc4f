import json
import os
import signal
from itertools import chain

import numpy as np
import pytest
import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from run_folders import rows_of, state_of

from bam_core import CollapseWarning, DataError, RecipeError
from bam_core.config.build import build, read_data
from bam_core.config.recipe import load_recipe
from bam_core.config.schema import TrainSettings
from bam_core.config.shipped_recipes import find_recipe
from bam_core.data import SplitDataset
from bam_core.imagenet.run_protocol import run_protocol
from bam_core.runs.evaluate_run import evaluate_run, stored
from bam_core.runs.pretrain import pretrain
from bam_core.runs.pretrained import PretrainedEncoder
from bam_core.runs.run_folder import check_data, load_encoder, load_run
from bam_core.training.batches import STOPPING, GlobalBatches, mixed_seed
from bam_core.training.checkpoints import checkpoints, newest_checkpoint
from bam_core.training.module import PretrainModule, decay_groups
from bam_core.training.trainer import make_trainer

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_pictures")]


def test_a_run_leaves_everything_behind(smoke, tmp_path):
    recipe = smoke("objective.momentum=0.9")
    folder = pretrain(recipe, tmp_path / "run", progress=False)
    assert load_run(folder) == recipe
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["data"]["rows"] == {"test": 16, "train": 48}
    assert {"torch", "lightning", "bam-ssl"} <= set(environment["versions"])
    rows = rows_of(folder)
    assert [int(row["step"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    for row in rows:
        assert all(float(row[name]) >= 0 for name in ("loss", "kl", "target_entropy", "rankme", "samples/s"))
        assert float(row["uniform_loss"]) == pytest.approx(torch.tensor(31.0).log().item(), rel=1e-5)
    assert [c.stem for c in checkpoints(folder / "checkpoints")] == ["step=00000006"]

    trained, teacher = (PretrainedEncoder.from_pretrained(folder / name) for name in ("encoder", "teacher"))
    batch = torch.randn(3, 2, 150)
    assert trained(batch).shape == (3, 32)
    assert not torch.allclose(trained(batch), teacher(batch))
    untrained = build(recipe).encoder.eval()
    assert not torch.allclose(trained(batch), untrained(batch))
    assert trained.facts["classes"] == ["slow", "fast"]
    assert trained.source["steps"] == 6


def test_the_saved_encoder_is_the_one_in_the_checkpoint(smoke, tmp_path):
    folder = pretrain(smoke(), tmp_path / "run", progress=False)
    state, _ = state_of(folder)
    saved = PretrainedEncoder.from_pretrained(folder / "encoder").encoder.state_dict()
    assert all(torch.equal(value, state[f"objective.student.encoder.{name}"]) for name, value in saved.items())


def test_the_same_seed_gives_the_same_weights_and_another_gives_others(smoke, tmp_path):
    states = [
        state_of(pretrain(smoke(f"train.seed={seed}"), tmp_path / name, progress=False))[0]
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    key = next(k for k in states[0] if k.startswith("objective.student.encoder") and k.endswith("weight"))
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0] if "extra_state" not in k)
    assert not torch.equal(states[0][key], states[2][key])


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(("stop_at", "signals"), [(2, ["SIGINT"]), (3, ["SIGUSR1"]), (4, ["SIGTERM", "SIGTERM"])])
def test_a_run_that_is_stopped_and_resumed_ends_with_the_weights_of_one_that_was_not(
    smoke, tmp_path, monkeypatch, workers, stop_at, signals
):
    """Three steps an epoch: stopped in the middle, at the end, and in the middle of the second."""
    options = ["train.epochs=3", "objective.momentum=0.9", "train.checkpoint_every=100", f"train.num_workers={workers}"]
    whole = pretrain(smoke(*options), tmp_path / "whole", progress=False)
    step = PretrainModule.optimizer_step

    def interrupting(self, *args, **kwargs):
        step(self, *args, **kwargs)
        if self.global_step + 1 == stop_at:
            for name in signals:
                os.kill(os.getpid(), getattr(signal, name))

    monkeypatch.setattr(PretrainModule, "optimizer_step", interrupting)
    parts = tmp_path / "parts"
    handlers = [signal.getsignal(signum) for signum in STOPPING]
    with pytest.raises(KeyboardInterrupt):
        pretrain(smoke(*options), parts, progress=False)
    assert handlers == [signal.getsignal(signum) for signum in STOPPING]
    assert len(rows_of(parts)) == stop_at
    assert (parts / "encoder" / "model.safetensors").exists()
    assert newest_checkpoint(parts / "checkpoints").step == stop_at

    monkeypatch.setattr(PretrainModule, "optimizer_step", step)
    pretrain(smoke(*options), parts, progress=False)
    assert_same_end(whole, parts)


def assert_same_end(one, other):
    """Weights, teacher and optimiser to the bit, and the same metrics in every step."""
    for a_part, b_part in zip(state_of(one), state_of(other), strict=True):
        flat = [torch.utils._pytree.tree_leaves(part) for part in (a_part, b_part)]
        assert len(flat[0]) == len(flat[1]) > 0
        for a, b in zip(*flat, strict=True):
            assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b
    rows = [[{k: v for k, v in row.items() if k != "samples/s"} for row in rows_of(folder)] for folder in (one, other)]
    assert rows[0] == rows[1]


def test_jobs_of_slurm_are_not_saved_and_queued_by_lightning(monkeypatch):
    job = {"NTASKS": "1", "JOB_NAME": "pretrain", "NODELIST": "a", "PROCID": "0", "LOCALID": "0", "NODEID": "0"}
    for name, value in job.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    assert SLURMEnvironment.detect()
    environment = make_trainer(TrainSettings(accelerator="cpu", strategy="ddp"), [], progress=False).strategy
    assert isinstance(environment.cluster_environment, SLURMEnvironment)
    assert not environment.cluster_environment.auto_requeue


def test_folders_are_not_overwritten(smoke, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious.txt").write_text("mine")
    with pytest.raises(RecipeError, match="is not empty and no run"):
        pretrain(smoke(), tmp_path / "mine")
    with pytest.raises(RecipeError, match="expected a checkpoint in"):
        pretrain(smoke(), tmp_path / "mine", resume=True)
    with pytest.raises(RecipeError, match="is not a run folder"):
        load_run(tmp_path)


def test_a_finished_run_is_left_alone_and_another_recipe_refused(smoke, tmp_path):
    folder = pretrain(smoke(), tmp_path / "run", progress=False)
    before = {f: f.stat().st_mtime_ns for f in folder.rglob("*") if f.is_file()}
    assert pretrain(smoke("train.log_every=5", "evaluate.k=3"), folder, progress=False) == folder
    assert before == {f: f.stat().st_mtime_ns for f in folder.rglob("*") if f.is_file() and f in before}
    with pytest.raises(RecipeError, match=r"another recipe; changed: views.p, train.learning_rate\."):
        pretrain(smoke("train.learning_rate=0.1", "views.p=0.1"), folder, progress=False)


def test_a_run_whose_encoder_is_of_an_earlier_step_is_not_finished(smoke, tmp_path):
    """It was stopped, continued, and killed between its last checkpoint and its encoder."""
    recipe = smoke("objective.momentum=0.9")
    folder = pretrain(recipe, tmp_path / "run", progress=False)
    saved = [folder / name / "model.safetensors" for name in ("encoder", "teacher")]
    weights = [file.read_bytes() for file in saved]
    config = folder / "encoder" / "config.json"
    config.write_text(config.read_text().replace('"steps": 6', '"steps": 2'))
    for file in saved:
        file.write_bytes(b"of an earlier step")
    pretrain(recipe, folder, progress=False)
    assert load_encoder(folder).source["steps"] == 6
    assert weights == [file.read_bytes() for file in saved]


def write_rows(path, n):
    np.save(path, np.random.default_rng(0).normal(size=(n, 1, 100)).astype(np.float32))


def test_a_run_is_neither_continued_nor_judged_on_other_rows(smoke, tmp_path):
    path = tmp_path / "signals.npy"
    write_rows(path, 40)
    arrays = ("data.reader=arrays", f"data.path={path}", "data.sampling_rate_hz=100", "train.epochs=1")
    recipe = smoke(*arrays)
    folder = pretrain(recipe, tmp_path / "run", progress=False)
    environment = folder / "environment.json"
    about = environment.read_text()
    then = ", ".join(f"{n} of {split}" for split, n in sorted(json.loads(about)["data"]["rows"].items()))

    write_rows(path, 48)
    for again in (
        lambda: pretrain(recipe, folder, progress=False),
        lambda: evaluate_run(folder),
        lambda: run_protocol(folder, "imagenet-knn", {}, progress=False),
    ):
        with pytest.raises(DataError, match=rf"data have changed since. Then: {then}; now: .* of train\. Splits are"):
            again()
    assert environment.read_text() == about

    write_rows(path, 40)
    os.utime(path, (0, 0))
    data = read_data(recipe)
    assert data.fingerprint != json.loads(about)["data"]["fingerprint"]
    check_data(folder, data)
    assert pretrain(recipe, folder, progress=False) == folder

    environment.write_text(about.replace("rows_hash", "nothing known"))
    with pytest.warns(UserWarning, match="does not record which rows it had"):
        check_data(folder, data)
    environment.write_text(about.replace(data.rows_hash(), "of other labels"))
    with pytest.raises(DataError, match="of train, with other names, splits, labels or groups"):
        check_data(folder, data)


def test_an_encoder_that_is_not_there_is_not_looked_for_elsewhere(tmp_path):
    for teacher, name in ((False, "encoder"), (True, "teacher")):
        with pytest.raises(RecipeError, match=rf"has no {name} yet: it has not ended\. bam pretrain .* goes on"):
            load_encoder(tmp_path, teacher=teacher)
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / "config.json").write_text('{"source": {"steps": 3}}')
    with pytest.raises(RecipeError, match=r"has no teacher: objective\.momentum makes one"):
        load_encoder(tmp_path, teacher=True)


def test_collapse_is_said_in_words(smoke, tmp_path):
    with pytest.warns(CollapseWarning) as warned:
        pretrain(
            smoke(
                "objective.epsilon=0.5", "objective.temperature=0.1", "train.learning_rate=0.05", "train.epochs=12",
                "objective.projector_standardize=false", "train.warmup_epochs=0",
            ),
            tmp_path / "run",
            progress=False,
        )  # fmt: skip
    messages = [str(w.message) for w in warned]
    assert any("epsilon=0.5 >= temperature=0.1" in m for m in messages)


def test_assessment_compares_with_untrained_and_raw(smoke, tmp_path):
    folder = pretrain(smoke(), tmp_path / "run", progress=False)
    results = evaluate_run(folder)
    assert results.features == ["raw features", "untrained encoder", "bam"]
    assert (folder / "results.json").exists()
    html = (folder / "report.html").read_text()
    assert "http://" not in html.replace("http://www.w3.org", "")
    for part in ("Results", "Training", "Map", "neighbours", "views", "Attention", "slow", "fast"):
        assert part in html

    assert stored(folder).features == results.features
    assert stored(folder, teacher=True) is None
    recipe, weights = folder / "recipe.yaml", folder / "encoder" / "model.safetensors"
    kept = recipe.read_text()
    recipe.write_text(kept.replace("  k: ", "  k: 1"))
    assert stored(folder) is None
    recipe.write_text(kept)
    assert stored(folder) is not None
    weights.write_bytes(b"of a later step")
    assert stored(folder) is None
    (folder / "results.json").unlink()
    assert stored(folder) is None


def test_batches_are_a_function_of_seed_and_epoch():
    batches = GlobalBatches(23, batch_size=6, seed=3)
    first, again = list(batches), list(batches)
    assert first == again
    assert len(batches) == len(first) == 3
    assert len({i for batch in first for i in batch}) == 18
    batches.set_epoch(1)
    assert list(batches) != first
    batches.start_at(0, 2)
    assert list(batches) == first[2:]
    assert list(batches) == first


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_ranks_share_the_global_batches(world_size):
    whole = list(GlobalBatches(23, batch_size=6, seed=3))
    shares = [list(GlobalBatches(23, batch_size=6, seed=3, rank=r, world_size=world_size)) for r in range(world_size)]
    assert [[i for part in parts for i in part] for parts in zip(*shares, strict=True)] == whole


def test_a_small_data_set_is_one_batch():
    assert [len(b) for b in GlobalBatches(5, batch_size=64, seed=0)] == [5]
    with pytest.raises(DataError, match="at least two rows, to compare them; the data have 1"):
        GlobalBatches(1, batch_size=64, seed=0)
    with pytest.raises(DataError, match="multiple of 4 processes; got 6"):
        GlobalBatches(100, batch_size=6, seed=0, world_size=4)


def test_seeds_are_unrelated():
    assert len({mixed_seed(a, b) for a in range(20) for b in range(20)}) == 400


def test_only_matrices_decay(smoke):
    module = build(smoke()).encoder
    decaying, still = decay_groups(module)
    assert {p.ndim for p in decaying["params"]} == {3}
    assert {p.ndim for p in still["params"]} == {1}


def test_an_empty_split_is_an_error(smoke):
    parts = build(smoke())
    with pytest.raises(DataError, match="at least one row; got none"):
        SplitDataset(parts.data.splits["train"].select([]), parts.modality.collate, parts.data.facts)


@pytest.mark.parametrize("groups_per_batch", [1, 2])
def test_batches_of_few_groups(groups_per_batch):
    groups = np.repeat(list("abcde"), 40)
    options = {"batch_size": 20, "seed": 3, "groups": groups, "groups_per_batch": groups_per_batch}
    batches = GlobalBatches(200, **options)
    first, again = list(batches), list(batches)
    assert first == again
    assert sorted(chain.from_iterable(first)) == list(range(200))
    assert max(len(set(groups[batch])) for batch in first) <= groups_per_batch
    batches.set_epoch(1)
    assert list(batches) != first
    shares = [list(GlobalBatches(200, rank=r, world_size=2, **options)) for r in range(2)]
    assert [a + b for a, b in zip(*shares, strict=True)] == first


def test_groups_smaller_than_a_batch_share_one():
    groups = np.arange(100) // 3
    batches = list(GlobalBatches(100, batch_size=16, seed=0, groups=groups, groups_per_batch=1))
    assert len(batches) == 6
    assert len(set(chain.from_iterable(batches))) == 96
    assert all(len(set(groups[batch])) <= 7 for batch in batches)


def test_batches_of_few_groups_need_groups(smoke, tmp_path):
    recipe = load_recipe(find_recipe("tabular/breast_cancer_mlp"), ["train.groups_per_batch=1"])
    with pytest.raises(RecipeError, match="expected data with groups; the reader found none"):
        pretrain(recipe, tmp_path / "run", progress=False)
