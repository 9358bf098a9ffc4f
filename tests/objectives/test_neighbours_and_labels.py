"""`supcon`, `neighbour`, `centroid`, `feature_contrast`: dense definitions in loops, closed forms, queue, blocks."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import normalize

from bam_core import InputError, Views
from bam_core.config.registry import load_objective
from bam_core.looks import Look, Wish
from bam_core.objective import Objective
from bam_core.objectives.contrast import info_nce
from bam_core.objectives.predictor import PredictionHead
from bam_core.objectives.support_queue import SupportQueue
from bam_core.objectives.terms.centroid import Centroid
from bam_core.objectives.terms.feature_contrast import FeatureContrast
from bam_core.objectives.terms.neighbour import Neighbour
from bam_core.objectives.terms.supcon import SupCon, supervised_contrast
from bam_core.views import Drawn


def rows(n=12, p=6, seed=0):
    return torch.randn(n, p, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def looks_at(*views, labels=None):
    looks = [Look(Wish(k), z, z) for k, z in enumerate(views)]
    aux = {} if labels is None else {"label": torch.tensor(labels)}
    return looks, Drawn(list(views), len(views), len(views), aux=aux)


def golden(n_rows, d=8):
    numbers = 1 + d * torch.arange(n_rows, dtype=torch.float64)[:, None] + torch.arange(d)
    return (1.7 * numbers).sin()


def test_supcon_without_labels_is_nt_xent():
    """The golden value of bam_loss with all weight on the positives."""
    z = golden(16).requires_grad_()
    loss = SupCon()(*looks_at(z[:8], z[8:])).loss
    loss.backward()
    assert loss.item() == pytest.approx(14.6191847045, abs=1e-9)
    assert z.grad.norm().item() == pytest.approx(2.4494476096, abs=1e-9)


def test_supcon_is_its_definition():
    views, labels, tau = [rows(6, seed=k) for k in range(3)], [0, 1, 0, -1, -1, 0], 0.2
    z, sample = normalize(torch.cat(views), dim=1), [k % 6 for k in range(18)]
    losses = []
    for i in range(18):
        others = [a for a in range(18) if a != i]
        total = sum(math.exp(z[i] @ z[a] / tau) for a in others)
        kin = [
            a
            for a in others
            if sample[a] == sample[i] or (labels[sample[a]] == labels[sample[i]] and labels[sample[i]] >= 0)
        ]
        losses.append(-sum(math.log(math.exp(z[i] @ z[a] / tau) / total) for a in kin) / len(kin))  # fmt: skip
    got = SupCon(temperature=tau)(*looks_at(*views, labels=labels)).loss
    assert got.item() == pytest.approx(sum(losses) / 18, rel=1e-9)


def test_supcon_of_one_class_at_one_point_knows_nothing_else():
    """Two classes at opposite points: nothing is left to learn but which of the own class it is, log 5 of 6 rows."""
    z = torch.tensor([[1.0, 0.0]] * 3 + [[-1.0, 0.0]] * 3)
    loss = SupCon(temperature=0.05)(*looks_at(z, z, labels=[0, 0, 0, 1, 1, 1])).loss
    assert loss.item() == pytest.approx(math.log(5), rel=1e-5)


def test_blocks_change_nothing():
    z = normalize(rows(12), dim=1).requires_grad_()
    sample, place, labels = torch.arange(12) % 6, torch.arange(12), torch.tensor([0, 1, 0, -1, 1, 0])
    for compare in (
        lambda block: supervised_contrast(z, z, sample, sample, place, labels, temperature=0.2, block=block),
        lambda block: info_nce(z, z, place, temperature=0.2, block=block),
    ):
        whole, blocks = compare(100), compare(5)
        assert whole.item() == pytest.approx(blocks.item(), rel=1e-12)
        gradients = [torch.autograd.grad(value, z)[0] for value in (whole, blocks)]
        assert torch.allclose(*gradients, rtol=1e-10, atol=1e-14)


def test_labels_decide_who_is_drawn_together():
    """Samples of one class have no view in common, but end beside each other."""
    torch.manual_seed(0)
    batch, labels = torch.randn(32, 32), torch.arange(32) % 4
    made = load_objective("supcon")(
        nn.Linear(32, 8), lambda x: Views([x, x + 0.1], aux={"label": labels}), total_steps=1, projector_out=8
    )
    made.initialize(batch)
    optimizer = torch.optim.AdamW(made.parameters(), lr=0.01)
    for _ in range(40):
        made(batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    z = normalize(made.look(Drawn([batch], 1, 1)).projections, dim=1).detach()
    same = labels[:, None] == labels
    assert (z @ z.T)[same].mean() > (z @ z.T)[~same].mean() + 0.5


def test_the_queue_is_first_in_first_out_and_finds_the_nearest():
    queue = SupportQueue(5, n_neighbours=2)
    z = normalize(rows(8), dim=1)
    assert torch.equal(queue(z), z[:, None].expand(-1, 2, -1))  # empty: the row itself
    queue.push(z[:3])
    queue.push(z[3:7])  # two of the oldest are gone
    expected = {tuple(row.tolist()) for row in z[2:7].float()}
    assert {tuple(row.tolist()) for row in queue.rows} == expected
    kept = z[2:7].float().double()
    order = (z @ kept.T).argsort(dim=1, descending=True)[:, :2]
    assert torch.equal(queue(z), kept[order])
    queue.push(z)  # more than there is room for
    assert {tuple(row.tolist()) for row in queue.rows} == {tuple(row.tolist()) for row in z[3:].float()}


def by_hand(found, predicted, tau):
    """InfoNCE of unit rows in loops."""
    scores = [[math.exp(a @ b / tau) for b in predicted] for a in found]
    return -sum(math.log(row[i] / sum(row)) for i, row in enumerate(scores)) / len(scores)


def test_neighbour_is_its_definition():
    torch.manual_seed(0)
    former, a, b = rows(20, seed=3), rows(seed=1), rows(seed=2)
    term = Neighbour(queue_size=20, temperature=0.3, hidden=7).double()
    term(*looks_at(former, former))  # goes into the queue
    assert term.queue.count == 20
    term.eval()
    got = term(*looks_at(a, b))
    support = normalize(former, dim=1)
    with torch.no_grad():
        p = normalize(term.predictor(torch.cat([a, b])), dim=1).split(12)
    near = [support[(normalize(z, dim=1) @ support.T).argmax(dim=1)] for z in (a, b)]
    expected = (by_hand(near[0], p[1], 0.3) + by_hand(near[1], p[0], 0.3)) / 2
    assert got.loss.item() == pytest.approx(expected, rel=1e-6)
    cosine = (normalize(a, dim=1) * near[0]).sum(1).mean()
    assert got.scalars["neighbour_cosine"].item() == pytest.approx(cosine.item(), rel=1e-6)
    assert term.queue.count == 20  # nothing goes in when nothing is learnt


def test_neighbours_of_the_teacher():
    """The teacher's rows look for neighbours and fill the queue; the student's are predicted from."""
    torch.manual_seed(0)
    term = Neighbour(queue_size=12, teacher=True)
    students, teachers = [rows(seed=1).float()] * 2, [rows(seed=2).float()] * 2
    looks = [Look(Wish(k, who), z, z) for who, s in (("student", students), ("teacher", teachers))
             for k, z in enumerate(s)]  # fmt: skip
    term(looks, Drawn(students, 2, 2))
    assert torch.allclose(term.queue.rows, normalize(teachers[0], dim=1))


class First(nn.Module):
    """A mixer whose centroid is its first row plus half of its last."""

    def forward(self, rows):
        return rows[:, 0] + rows[:, -1] / 2


class Same(nn.Module):
    def forward(self, rows):
        return rows


def test_centroid_is_its_definition():
    former, a, b = rows(20, seed=3), rows(seed=1), rows(seed=2)
    term = Centroid(n_neighbours=3, queue_size=20, temperature=0.3)
    term.mixer, term.predictor = First(), Same()
    term.double()(*looks_at(former, former))
    got = term(*looks_at(a, b)).loss
    support = normalize(former, dim=1)
    near = [support[(normalize(z, dim=1) @ support.T).argsort(dim=1, descending=True)] for z in (a, b)]
    centroids = [normalize(n[:, 0] + n[:, 2] / 2, dim=1) for n in near]
    shifted = [normalize(z + n[:, 1] / 2, dim=1) for z, n in zip((a, b), near, strict=True)]
    expected = (by_hand(centroids[0], shifted[1], 0.3) + by_hand(centroids[1], shifted[0], 0.3)) / 2
    assert got.item() == pytest.approx(expected, rel=1e-6)


def test_feature_contrast_in_closed_form():
    apart = torch.linalg.qr(rows(12, 4)).Q  # features orthogonal over the samples
    assert FeatureContrast()(*looks_at(apart, 3 * apart)).loss.item() == pytest.approx(0, abs=2e-4)
    assert FeatureContrast()(*looks_at(apart, -apart)).loss.item() == pytest.approx(1, abs=2e-4)  # root of 2^2, halved
    alike = rows(12, 1).expand(-1, 4)  # every feature is every other
    assert FeatureContrast()(*looks_at(alike, alike)).loss.item() == pytest.approx(0.5, abs=2e-4)


def test_feature_contrast_is_its_definition():
    a, b, c = (rows(seed=k) for k in range(3))
    on, off = [], []
    for x, y in [(a, b), (b, a), (a, c), (c, a), (b, c), (c, b)]:
        for i in range(6):
            for j in range(6):
                cosine = (x[:, i] @ y[:, j] / x[:, i].norm() / y[:, j].norm()).item()
                (on if i == j else off).append((1 - cosine) ** 2 if i == j else cosine**2)
    expected = (math.sqrt(sum(on) / len(on)) + math.sqrt(sum(off) / len(off))) / 2
    assert FeatureContrast()(*looks_at(a, b, c)).loss.item() == pytest.approx(expected, rel=1e-6)


def test_a_feature_of_zeros_has_a_gradient():
    z = torch.cat([rows(12, 3), torch.zeros(12, 1, dtype=torch.float64)], dim=1).requires_grad_()
    FeatureContrast()(*looks_at(z, z)).loss.backward()
    assert z.grad.isfinite().all()


def test_all4one_is_the_weighted_sum_of_its_parts():
    made = load_objective("all4one")(nn.Linear(6, 4), lambda x: [x, x + 0.1], total_steps=1, projector_out=8)
    out = made(rows(16).float())
    parts = 0.5 * out.neighbour_loss + 0.5 * out.centroid_loss + 5 * out.feature_contrast_loss
    assert out.loss.item() == pytest.approx(parts.item(), rel=1e-6)
    assert made.teacher is not None


def test_a_predictor_is_as_wide_as_what_it_is_given():
    head = PredictionHead(5)
    assert head(rows(4, 3).float()).shape == (4, 3)
    assert PredictionHead(5).load_state_dict(head.state_dict()).missing_keys == []


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: SupCon(temperature=0.0), "supcon expected temperature > 0; got 0.0"),
        (lambda: Neighbour(queue_size=0), "neighbour expected queue_size > 0; got 0"),
        (lambda: Centroid(n_neighbours=5, queue_size=4), "neighbours from 1 to its queue_size of 4; got 5"),
        (lambda: Centroid(width=10, heads=4), "a width that is a multiple of its heads; got width 10, 4 heads"),
    ],
)
def test_wrong_options(make, said):
    with pytest.raises(InputError, match=said):
        make()


@pytest.mark.parametrize("labels", [torch.zeros(12, 2, dtype=torch.long), torch.zeros(12)])
def test_labels_that_are_no_classes(labels):
    made = Objective(nn.Linear(6, 4), lambda x: Views([x, x], aux={"label": labels}), {"supcon": SupCon()})
    with pytest.raises(InputError, match="supcon expected one class a sample"):
        made(rows().float())
