"""Papers' evaluations on small real data: scikit-learn's digits, and folders of pictures."""

import contextlib
import csv
import functools
import io
import json
import math
import shutil
from pathlib import Path

import launch
import numpy as np
import pytest
import torch
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image
from sklearn.neighbors import KNeighborsClassifier
from torch import nn
from torch.nn.functional import normalize

from bam_core import DataError, PretrainedEncoder, RecipeError
from bam_core.cli import main
from bam_core.config.build import build
from bam_core.config.recipe import load_recipe
from bam_core.config.schema import TrainSettings
from bam_core.config.shipped_recipes import find_recipe
from bam_core.data.holdout import hold_out
from bam_core.finetuning.fit import Labelled
from bam_core.finetuning.fit import fit as fit_labelled
from bam_core.imagenet.classifier import Classifier
from bam_core.imagenet.protocols import PROTOCOLS, _evaluate, _stem
from bam_core.imagenet.run_protocol import ProtocolResult, run_protocol
from bam_core.imagenet.settings import LinearSettings
from bam_core.probes.fractions import balanced_rows
from bam_core.probes.inputs import Features
from bam_core.runs.features import embed
from bam_core.runs.pretrain import pretrain
from bam_core.runs.run_folder import load_run
from bam_core.training.callbacks import CleanStop
from bam_core.training.online_knn import OnlineKNN
from modalities.image.views import ImageViews

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    recipe = load_recipe(
        find_recipe("image/digits_cnn"), ["train.epochs=2", "train.knn_every=1", "train.accelerator=cpu"]
    )
    return pretrain(recipe, tmp_path_factory.mktemp("digits") / "run", progress=False)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Colour photographs of two classes, of several sizes: dark and light on the left."""
    root, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 6)):
        for c, name in enumerate(("dark", "light")):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 60, (20 + i, 30, 3), dtype=np.uint8)
                pixels[:, :15] += np.uint8(150 * c)
                Image.fromarray(pixels).save(root / split / name / f"{i}.png")
    return root


def encoder_of(run):
    return PretrainedEncoder.from_pretrained(run / "encoder")


def test_knn_is_that_of_scikit_learn(run):
    judged = run_protocol(run, "imagenet-knn", {"k": 7, "seed": 3}, progress=False)
    parts = build(load_run(run))
    bank = balanced_rows(parts.data.labels("train"), 0.1, seed=3)
    train, test = (normalize(embed(encoder_of(run), parts.dataset(s)), dim=1).numpy() for s in ("train", "test"))
    votes = KNeighborsClassifier(7, weights=lambda d: np.exp((1 - d**2 / 2) / 0.07))
    accuracy = votes.fit(train[bank], parts.data.labels("train")[bank]).score(test, parts.data.labels("test"))
    assert judged.results.row("bam", "knn", 1.0).mean == pytest.approx(accuracy, abs=0.003)
    assert judged.rows == {"train": len(bank), "judged": 359, "split": "test"}
    assert judged.results.features == ["raw features", "untrained encoder", "bam"]


def test_online_knn_looks_at_train_only(run):
    with (run / "knn.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["step"], row["epoch"], row["queries_of"]) for row in rows] == [
        ("11", "1", "train"),
        ("22", "2", "train"),
    ]
    parts = build(load_run(run))
    labels = parts.data.labels("train")
    apart = hold_out(len(labels), 0.2, seed=0, labels=labels)
    bank, queries = balanced_rows(np.where(apart, -1, labels), 0.1, seed=0), np.flatnonzero(apart)
    features = normalize(embed(encoder_of(run), parts.dataset("train")), dim=1).numpy()
    votes = KNeighborsClassifier(20, weights=lambda d: np.exp((1 - d**2 / 2) / 0.07)).fit(features[bank], labels[bank])
    assert float(rows[-1]["accuracy"]) == pytest.approx(votes.score(features[queries], labels[queries]), abs=0.003)
    assert rows[-1]["queries"] == str(len(queries))


def test_online_knn_looks_after_every_so_many_passes_and_at_the_end(smoke, tmp_path):
    folder = pretrain(smoke("train.knn_every=2", "train.epochs=5"), tmp_path / "run", progress=False)
    with (folder / "knn.csv").open(newline="") as file:
        assert [int(row["epoch"]) for row in csv.DictReader(file)] == [2, 4, 5]


def test_online_knn_keeps_groups_apart(smoke):
    recipe = smoke("train.knn_every=1")
    parts = build(recipe)
    online = OnlineKNN(parts, recipe.train, Path("knn.csv"))
    groups = parts.data.groups("train")
    assert not set(groups[online.bank]) & set(groups[online.queries])


def test_a_linear_layer_learns_and_the_encoder_stays(run):
    before = encoder_of(run).state_dict()
    overrides = {"epochs": 4, "batch_size": 128, "learning_rate": 0.2}
    judged = run_protocol(run, "imagenet-linear", overrides, progress=False)
    assert [accuracy.epoch for accuracy in judged.history] == [1, 2, 3, 4]
    assert judged.last.top1 > 0.7
    assert judged.last.top5 > judged.last.top1
    assert judged.best.top1 == max(accuracy.top1 for accuracy in judged.history)
    content = json.loads(judged.path.read_text())
    assert content["last"] == judged.last._asdict()
    assert content["rows"] == {"train": 1438, "judged": 359, "split": "test"}
    assert content["settings"]["epochs"] == 4
    trained = torch.load(next((judged.path.parent / "checkpoints").glob("*.ckpt")), weights_only=True)["state_dict"]
    for name, value in before.items():
        assert torch.equal(trained[name], value), name
    when = judged.path.stat().st_mtime_ns
    again = run_protocol(run, "imagenet-linear", overrides, progress=False)
    assert (again.history, again.rows, again.settings) == (judged.history, judged.rows, content["settings"])
    assert judged.path.stat().st_mtime_ns == when
    judged.path.unlink()
    assert (
        run_protocol(run, "imagenet-linear", overrides, progress=False).history == judged.history
    )  # from the checkpoint
    judged.path.write_text("{}")
    with pytest.raises(DataError, match="Delete it to evaluate again"):
        run_protocol(run, "imagenet-linear", overrides, progress=False)
    shutil.rmtree(judged.path.parent)


@pytest.mark.parametrize(("protocol", "n"), [("semi-1", 10), ("semi-10", 140)])
def test_fine_tuning_moves_the_encoder(run, protocol, n):
    judged = run_protocol(run, protocol, {"epochs": 3}, progress=False)
    assert judged.rows["train"] == n
    assert judged.last.top1 > 0.2
    trained = torch.load(next((judged.path.parent / "checkpoints").glob("*.ckpt")), weights_only=True)["state_dict"]
    moved = {name: not torch.equal(trained[name], value) for name, value in encoder_of(run).state_dict().items()}
    assert all(moved.values())


def test_the_rows_to_learn_from_can_be_named(run, tmp_path):
    parts = build(load_run(run))
    labels, ids = parts.data.labels("train"), parts.data.splits["train"]["id"]
    chosen = [ids[int(np.flatnonzero(labels == c)[0])] for c in range(10)]
    (tmp_path / "ten.txt").write_text("\n".join([*chosen, ""]))
    judged = run_protocol(run, "semi-10", {"labels": str(tmp_path / "ten.txt"), "epochs": 1}, progress=False)
    assert judged.rows["train"] == 10
    (tmp_path / "wrong.txt").write_text("\n".join([*chosen, "n01440764_1.JPEG"]))
    with pytest.raises(DataError, match=r"1 of 11 do not, such as \['n01440764_1.JPEG'\]. An id looks like"):
        run_protocol(run, "semi-10", {"labels": str(tmp_path / "wrong.txt")}, progress=False)
    with pytest.raises(DataError, match="there is none"):
        run_protocol(run, "semi-10", {"labels": str(tmp_path / "none.txt")}, progress=False)


def test_transfer_brings_any_folder_to_the_encoders_size(run, pictures):
    judged = run_protocol(run, "transfer", {"path": str(pictures)}, progress=False)
    assert judged.rows == {"train": 24, "judged": 12, "split": "validation"}
    assert judged.results.row("bam", "linear", 1.0).mean == 1.0
    assert judged.results.features == ["raw features", "untrained encoder", "bam"]


def test_crops_from_whole_files_are_judged_as_well(pictures, tmp_path):
    options = [
        f"data.path={pictures}", "data.size=32", "data.decoding=in_workers", "views.crops=file", "views.n_local=1",
        "train.epochs=1", "train.batch_size=8", "encoder={name: vit_tiny, width: 12, depth: 1, heads: 1}",
        "objective={name: bam, momentum: 0.9}", "train.accelerator=cpu", "train.knn_every=1", "train.log_every=1",
    ]  # fmt: skip
    folder = pretrain(load_recipe(find_recipe("image/cifar10_resnet18"), options), tmp_path / "run", progress=False)
    with (folder / "knn.csv").open(newline="") as file:
        assert [row["queries_of"] for row in csv.DictReader(file)] == ["validation"]
    for network in ("student", "teacher", "untrained"):
        overrides = {"epochs": 6, "batch_size": 8, "learning_rate": 0.5}
        judged = run_protocol(folder, "imagenet-linear", overrides, network=network, progress=False)
        assert judged.rows["split"] == "validation"
        assert judged.last.top1 > 0.5
        head = torch.load(next((judged.path.parent / "checkpoints").glob("*.ckpt")), weights_only=True)["state_dict"]
        assert head["head.weight"].shape == (2, 24)  # class token and mean patch token


def test_files_are_found_by_their_names(pictures, tmp_path):
    options = [f"data.path={pictures}", "data.size=16", "encoder={name: cnn, width: 4}", "train.batch_size=8",
               "train.epochs=1", "train.accelerator=cpu", "train.log_every=1"]  # fmt: skip
    folder = pretrain(load_recipe(find_recipe("image/cifar10_resnet18"), options), tmp_path / "run", progress=False)
    names = tmp_path / "names.txt"
    names.write_text("train/dark/1.png\ntrain/light/2.png\n")
    assert run_protocol(folder, "semi-1", {"labels": str(names), "epochs": 1}, progress=False).rows["train"] == 2
    names.write_text("1.png\n")
    with pytest.raises(DataError, match=r"1 of 1 do not, such as \['1.png'\]"):  # there is one of each class
        run_protocol(folder, "semi-1", {"labels": str(names), "epochs": 1}, progress=False)


@pytest.mark.parametrize("name", ["train/n01/n01_7.JPEG", "n01_7.JPEG", "train-000.tar:n01_7", "n01_7"])
def test_stems_of_ids(name):
    assert _stem(name) == "n01_7"


def evaluate_as_rank(rank, world_size, folder):
    """What the command prints."""
    rank_zero_only.rank = rank  # Lightning reads it once, when it is imported
    settings = ["epochs=3", "batch_size=128", "learning_rate=0.2", "devices=2", "accelerator=cpu"]
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert main(["evaluate", str(folder), "--protocol", "imagenet-linear", *settings]) == 0
    return said.getvalue()


def test_two_processes_judge_every_row_once(run):
    said, nothing = launch.run(evaluate_as_rank, 2, run)
    assert "last epoch (3): top-1 0." in said
    assert "Result: " not in nothing
    judged = ProtocolResult.load(Path(said.split("Result: ")[1].strip()))
    assert judged.last.top1 > 0.6
    assert (judged.last.top1 * 359) % 1 == pytest.approx(0, abs=1e-3) or (judged.last.top1 * 359) % 1 > 0.999


def test_processes_that_nobody_asked_for_are_refused(run, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(RecipeError, match=r"4 processes were started .* Take devices=4"):
        run_protocol(run, "semi-1", {})
    with pytest.raises(RecipeError, match="Take one process"):
        run_protocol(run, "imagenet-knn", {})


def test_no_row_is_left_out_however_many_there_are(run):
    rng = np.random.default_rng(0)
    train, judged = (rng.integers(0, 2, n) for n in (100_100, 30))
    features = {"x": Features(rng.normal(size=(100_100, 2)), rng.normal(size=(30, 2)))}
    data = build(load_run(run)).data
    results = _evaluate(features, train, judged, data, "test", probe="knn", k=20)
    assert results.row("x", "knn", 1.0).n_labels == 100_100


def test_what_is_wrong_is_said(run, smoke, tmp_path, capsys):
    with pytest.raises(RecipeError, match="did you mean 'semi-1'"):
        run_protocol(run, "semi1", {})
    with pytest.raises(RecipeError, match=r"known: epochs, .*\n  epoch: .*did you mean 'epochs'"):
        run_protocol(run, "semi-1", {"epoch": 1})
    with pytest.raises(RecipeError, match="path: field required"):
        run_protocol(run, "transfer", {})
    heartbeats = pretrain(smoke("train.epochs=1"), tmp_path / "run", progress=False)
    with pytest.raises(RecipeError, match="crops and mirrors images; the run is one of 'ecg'"):
        run_protocol(heartbeats, "imagenet-linear", {})
    assert run_protocol(heartbeats, "imagenet-knn", {}, progress=False).rows["split"] == "test"
    assert main(["evaluate", str(run), "other", "--protocol", "semi-1"]) == 1
    assert "one run, settings as key=value" in capsys.readouterr().err
    assert main(["evaluate", str(run), "--untrained"]) == 1
    assert "--untrained belongs to --protocol" in capsys.readouterr().err


def test_the_command_reports_the_last_epoch_and_the_best(run, capsys):
    words = ["--protocol", "semi-10", "epochs=2", "encoder_learning_rate=null"]
    assert main(["evaluate", str(run), *words]) == 0
    said = capsys.readouterr().out
    assert "last epoch (2): top-1 0." in said
    assert "The last epoch is the figure to report; the best one was chosen on test itself." in said


def test_every_protocol_is_explained():
    for model, _ in PROTOCOLS.values():
        assert model.__doc__


class Rows(torch.utils.data.Dataset):
    """Two overlapping clouds."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.labels = np.arange(64) % 2
        self.values = torch.tensor(rng.normal(size=(64, 3)) + self.labels[:, None], dtype=torch.float32)

    def __getitems__(self, rows):
        return self.values[rows]


def make_classifier(steps):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    return Classifier(
        network, network, lambda x, *, generator: [x + torch.randn(x.shape, generator=generator)], width=4, n_classes=2,
        steps=steps, learning_rate=0.1, encoder_learning_rate=0.01, batch_norm=True, seed=0,
    )  # fmt: skip


def fit(folder, made=None):
    data = Rows()
    labelled = Labelled(data, np.arange(64), data.labels)
    settings = TrainSettings(epochs=3, batch_size=16, accelerator="cpu", log_every=1)

    def make(steps):
        classifier = make_classifier(steps)
        if made is not None:
            made.append(classifier)
        return classifier

    return fit_labelled(make, lambda seed: labelled, labelled, settings, folder, progress=False).history


def test_rates_follow_a_cosine_at_every_step(tmp_path, monkeypatch):
    rates = []
    step = torch.optim.SGD.step

    def spy(self, *args, **kwargs):
        rates.append([group["lr"] for group in self.param_groups])
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.SGD, "step", spy)
    made = []
    fit(tmp_path, made)
    cosine = [0.5 * (1 + math.cos(math.pi * k / 12)) for k in range(12)]
    np.testing.assert_allclose(rates, [[0.1 * c, 0.01 * c] for c in cosine], rtol=1e-12)
    assert made[0].encoder[1].num_batches_tracked == 12  # fine-tuning: its statistics follow
    assert made[0].norm.weight is None


def test_the_linear_probe_has_the_values_of_the_paper(run, monkeypatch):
    settings = LinearSettings()
    assert (settings.epochs, settings.batch_size, settings.learning_rate) == (100, 1024, 0.002)
    assert (settings.encoder_learning_rate, settings.batch_norm, settings.patch_tokens) == (None, True, True)
    assert (settings.scale, settings.fraction) == ((0.08, 1.0), 1.0)
    seen, views = [], []
    step, make = torch.optim.SGD.step, ImageViews.__init__

    def spy(self, *args, **kwargs):
        seen.extend(dict(group, params=len(group["params"])) for group in self.param_groups)
        return step(self, *args, **kwargs)

    @functools.wraps(make)
    def made(self, **options):
        views.append(options)
        make(self, **options)

    monkeypatch.setattr(torch.optim.SGD, "step", spy)
    monkeypatch.setattr(ImageViews, "__init__", made)
    judged = run_protocol(run, "imagenet-linear", {"epochs": 1}, progress=False)
    assert {**settings.model_dump(mode="json"), "epochs": 1} == judged.settings
    assert [(g["lr"], g["momentum"], g["weight_decay"], g["params"]) for g in seen] == [(0.008, 0.9, 0, 2)]
    assert (views[-1]["scale"], views[-1]["jitter_p"], views[-1]["n_local"]) == ((0.08, 1.0), 0.0, 0)


def test_a_training_that_was_stopped_goes_on_to_the_same_end(tmp_path, monkeypatch):
    whole, parts = [], []
    expected = fit(tmp_path / "whole", whole)

    def stop(self, trainer, *args):
        if trainer.global_step == 6:
            self.requested = trainer.should_stop = True

    with monkeypatch.context() as patch:
        patch.setattr(CleanStop, "on_train_batch_end", stop)
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path / "parts", parts)
    assert fit(tmp_path / "parts", parts) == expected
    for name, value in whole[0].state_dict().items():
        assert torch.equal(value, parts[1].state_dict()[name]), name
