"""Micro-batches and parts of a batch change memory and seeds, not the mathematics."""

import warnings

import pytest
import torch
from torch import nn

from bam_core import BAMObjective, InputError, Views
from bam_core.views import draw_views


def views_of(batch, generator=None):
    x = batch["x"]
    seen = [{"x": x + 0.1 * torch.randn(x.shape, generator=generator, dtype=x.dtype)} for _ in range(2)]
    return Views(seen, [{"x": torch.sin(seen[0]["x"][:, :3])}])


class Encoder(nn.Module):
    """{"x": (b, t)} of any t -> (b, 4), remembering how many rows it saw."""

    def __init__(self, norm=nn.LayerNorm):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 8), norm(8), nn.GELU(), nn.Linear(8, 4))
        self.seen = []

    def forward(self, view):
        x = view["x"]
        self.seen.append(len(x))
        return self.layers(torch.stack([x.mean(1), x.std(1)], 1))


def objective(micro_batch, norm=nn.LayerNorm, **options):
    torch.manual_seed(0)
    made = BAMObjective(Encoder(norm), views_of, micro_batch=micro_batch, **options).double()
    made.initialize(batch())
    made.encoder.seen.clear()
    return made.double()


def batch():
    return {"x": torch.randn(12, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)}


@pytest.mark.parametrize(("momentum", "positive_weight"), [(None, 0.0), (0.5, 0.0), (0.5, 0.5)])
@pytest.mark.parametrize("micro_batch", [1, 5, 12])
def test_micro_batches_give_the_gradient_of_the_whole_batch(micro_batch, momentum, positive_weight):
    results = []
    for size in (None, micro_batch):
        made = objective(size, momentum=momentum, positive_weight=positive_weight)
        out = made(batch(), generator=torch.Generator().manual_seed(2))
        out.loss.backward()
        results.append((torch.stack(out[:6]), [p.grad for p in made.student.parameters()], made.encoder.seen))
    (values, gradients, whole), (other_values, other_gradients, parts) = results
    assert torch.allclose(values, other_values, rtol=1e-12)
    for a, b in zip(gradients, other_gradients, strict=True):
        assert torch.allclose(a, b, rtol=1e-9, atol=1e-13)
    assert whole == [24, 12]
    assert max(parts) <= micro_batch


def test_running_statistics_are_updated_once_a_micro_batch():
    with pytest.warns(UserWarning, match=r"batch normalisation \(encoder layer 'layers\.1'\): every micro-batch"):
        made = objective(8, norm=nn.BatchNorm1d)
    norm = made.encoder.layers[1]
    out = made(batch())
    after_forward = {k: v.clone() for k, v in norm.state_dict().items()}
    out.loss.backward()
    assert after_forward.keys() == norm.state_dict().keys()
    assert all(torch.equal(v, after_forward[k]) for k, v in norm.state_dict().items())
    assert int(norm.num_batches_tracked) == 5  # 24 and 12 rows in eights
    assert norm.momentum == 0.1


def test_dropout_is_the_same_the_second_time():
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Linear(6, 16), nn.Dropout(0.5), nn.Linear(16, 4))
    made = BAMObjective(encoder, lambda x: [x, x + 0.1], micro_batch=4)
    made.initialize(batch()["x"].float())
    dropped = []
    encoder[1].register_forward_hook(lambda layer, inputs, output: dropped.append(output == 0))
    made(batch()["x"].float()).loss.backward()
    assert len(dropped) == 12  # six micro-batches, twice
    assert all(torch.equal(again, first) for first, again in zip(dropped[:6], reversed(dropped[6:]), strict=True))


def test_sizes_below_one_are_refused():
    with pytest.raises(InputError, match="micro_batch >= 1"):
        BAMObjective(nn.Linear(2, 2), lambda x: [x, x], micro_batch=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BAMObjective(nn.Linear(2, 2), lambda x: [x, x], micro_batch=1)


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def test_parts_have_the_views_of_their_own_generators():
    x = batch()["x"]
    whole = draw_views(views_of, {"x": x}, generators(5, 6, 7))
    assert (whole.n_views, whole.n_global, len(whole.views)) == (3, 2, 9)
    for k, seed in enumerate((5, 6, 7)):
        alone = draw_views(views_of, {"x": x[4 * k : 4 * k + 4]}, generators(seed)[0])
        for v in range(3):
            assert torch.equal(whole.views[3 * v + k]["x"], alone.views[v]["x"])


def test_parts_are_one_loss():
    made = objective(None)
    out = made(batch(), generator=generators(5, 6))
    drawn = draw_views(views_of, batch(), generators(5, 6)).views
    rows = torch.cat([made.encoder(view) for view in drawn])
    assert torch.allclose(out.embeddings, rows)
    assert made.encoder.seen[:2] == [24, 12]  # one pass for every shape, not for every part


def test_a_batch_that_cannot_be_divided_is_refused():
    with pytest.raises(InputError, match="5 generators expected a batch of a multiple of 5 samples; got 12"):
        objective(None)(batch(), generator=generators(*range(5)))
