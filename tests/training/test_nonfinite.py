import functools
from collections import namedtuple
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from bam_core import DataError, NonFiniteError
from bam_core.runs.pretrain import pretrain
from bam_core.runs.replay import replay
from bam_core.training.checkpoints import checkpoints, newest_checkpoint, read_checkpoint
from bam_core.training.module import PretrainModule
from bam_core.training.nonfinite import first_nonfinite
from modalities.timeseries.encoders import ResNet1d

pytestmark = pytest.mark.slow


class Breaks(nn.Module):
    """A layer, whose output is NaN from some call in training on."""

    def __init__(self, layer, at):
        super().__init__()
        self.layer, self.at, self.calls = layer, at, 0

    def forward(self, x, *rest):
        self.calls += self.training
        x = self.layer(x, *rest)
        return x * float("nan") if self.training and self.calls >= self.at else x


@pytest.fixture
def breaking(monkeypatch):
    """Encoders whose second block yields NaN from the third step on."""
    made = ResNet1d.__init__

    @functools.wraps(made)
    def broken(self, **options):
        made(self, **options)
        self.blocks[1] = Breaks(self.blocks[1], at=3)

    monkeypatch.setattr(ResNet1d, "__init__", broken)


def test_the_layer_is_named_the_step_saved_and_run_again(breaking, smoke, tmp_path):
    with pytest.raises(
        NonFiniteError,
        match=r"step 2 is not finite: .* the output of objective\.student\.encoder\.blocks\.1 \(Breaks\)",
    ):
        pretrain(smoke(), tmp_path / "run", progress=False)
    assert (tmp_path / "run" / "nonfinite" / "step=00000002" / "step.pt").exists()
    assert "everything is finite this time" in replay(tmp_path / "run")
    with pytest.raises(DataError, match="saved are 2"):
        replay(tmp_path / "run", 7)
    with pytest.raises(DataError, match="none was saved"):
        replay(tmp_path, 7)


def test_such_steps_can_be_left_out(breaking, smoke, tmp_path):
    with pytest.warns(UserWarning, match="The step is left out"):
        folder = pretrain(smoke("train.on_nan=skip"), tmp_path / "run", progress=False)
    state = newest_checkpoint(folder / "checkpoints").state
    assert state["global_step"] == 6
    assert all(v.isfinite().all() for v in state["state_dict"].values() if isinstance(v, torch.Tensor))


def test_broken_weights_are_the_end_whatever_was_asked(monkeypatch, smoke, tmp_path):
    made = ResNet1d.__init__

    @functools.wraps(made)
    def broken(self, **options):
        made(self, **options)
        next(self.blocks.parameters()).register_hook(lambda gradient: gradient / 0)

    monkeypatch.setattr(ResNet1d, "__init__", broken)
    with pytest.raises(NonFiniteError, match=r"step 1 .* begins in the weights .* Leaving out steps does not mend"):
        pretrain(smoke("train.on_nan=skip"), tmp_path / "run", progress=False)


def origin(network, x, views=lambda x: x):
    return first_nonfinite(network, x, lambda: SimpleNamespace(loss=network(views(x)).mean()))


def test_every_origin_is_told_apart():
    network = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 1))
    x = torch.ones(2, 3)
    assert origin(network, x) is None
    assert "the batch itself" in first_nonfinite(network, {"a": [x / 0]}, list)
    assert "what goes into 0 (Linear), after the views" in origin(network, x, lambda x: x / 0)
    network[2].bias.data.fill_(1e38)
    network[2].weight.data.fill_(3e38)
    network[0].bias.data.fill_(5.0)
    assert "the output of 2 (Linear)" in origin(network, x)
    network[0].weight.data[0, 0] = float("nan")
    assert "the weights 0.weight, broken by an earlier step" in origin(network, x)


@pytest.mark.parametrize("usable", [0, 1, 3])
def test_figures_of_the_log_leave_out_rows_that_have_none(usable):
    """On a GPU nobody has looked at the values yet; and a dead ReLU gives a row of zeros."""
    logged = {}
    rows = torch.cat([torch.eye(4)[:usable], torch.zeros(1, 4), torch.full((1, 4), torch.nan)])
    module = SimpleNamespace(
        settings=SimpleNamespace(batch_size=4, log_every=1), global_step=0, _step_ended=0.0,
        learning_rate=lambda step: 0.1, log_dict=lambda *_, **__: None,
        log=lambda name, value, **_: logged.update({name: value}),
    )  # fmt: skip
    output = namedtuple("Output", ["loss", "embeddings"])(torch.tensor(torch.nan), rows)
    PretrainModule._log_step(module, output)
    expected = (3.0, 1.0) if usable == 3 else (torch.nan, torch.nan)
    assert (logged["rankme"], logged["embedding_spread"]) == pytest.approx(expected, nan_ok=True, abs=1e-4)


def test_a_broken_checkpoint_is_passed_over(smoke, tmp_path):
    folder = pretrain(smoke("train.checkpoint_every=2"), tmp_path / "run", progress=False)
    older, newest = checkpoints(folder / "checkpoints")
    content = newest.read_bytes()
    newest.write_bytes(content[: len(content) // 2])
    with pytest.warns(UserWarning, match=rf"{newest.name} cannot be read .* The one before it, {older.name}, is taken"):
        assert newest_checkpoint(folder / "checkpoints").step == 4
    torch.save({"weights": torch.ones(2)}, newest)
    with pytest.raises(DataError, match="is not a checkpoint of a run"):
        read_checkpoint(newest)
    older.write_bytes(b"")
    with pytest.raises(DataError, match="No other is left"):
        newest_checkpoint(folder / "checkpoints")
    assert newest_checkpoint(tmp_path) is None


def test_checkpoints_never_run_code(tmp_path):
    import pickle

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    (tmp_path / "step=00000001.ckpt").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(DataError, match="damaged or foreign"):
        newest_checkpoint(tmp_path)
    torch.save(Evil(), tmp_path / "step=00000001.ckpt")
    with pytest.raises(DataError, match="damaged or foreign"):
        newest_checkpoint(tmp_path)
    assert not (tmp_path / "owned").exists()
