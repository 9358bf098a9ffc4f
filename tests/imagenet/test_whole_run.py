"""The paper's run at toy width, all 400 epochs of it: what optimiser, teacher and crops get, against one table.

Nothing but sizes is changed in the recipe: one step an epoch, few and small images, a narrow network.
"""

import math

import numpy as np
import pytest
import torch

from bam_core.config.recipe import load_recipe
from bam_core.config.shipped_recipes import find_recipe
from bam_core.runs.pretrain import pretrain
from bam_core.training.module import PretrainModule
from modalities.image import file_crops
from modalities.image.encoders import paper

# epoch: learning rate, weight decay, momentum of the teacher; by hand from the paper's words:
# the rate rises to 3e-4 * 4096 / 256 = 4.8e-3 in 40 epochs and falls by a cosine to 1e-3 at the 400th,
# the decay rises from 0.04 to 0.4 and the momentum from 0.995 to 1 by cosines over all epochs.
HALF = math.sqrt(0.5)
TABLE = {
    0: (0.0, 0.04, 0.995),
    1: (1.2e-4, 0.04 + 0.18 * (1 - math.cos(math.pi / 400)), 0.995 + 0.0025 * (1 - math.cos(math.pi / 400))),
    20: (2.4e-3, 0.04 + 0.18 * (1 - math.cos(math.pi / 20)), 0.995 + 0.0025 * (1 - math.cos(math.pi / 20))),
    40: (4.8e-3, 0.04 + 0.18 * (1 - math.cos(math.pi / 10)), 0.995 + 0.0025 * (1 - math.cos(math.pi / 10))),
    100: (2.9e-3 + 1.9e-3 * math.cos(math.pi / 6), 0.22 - 0.18 * HALF, 0.9975 - 0.0025 * HALF),
    130: (2.9e-3 + 1.9e-3 * HALF, 0.22 - 0.18 * math.cos(0.325 * math.pi), 0.9975 - 0.0025 * math.cos(0.325 * math.pi)),
    200: (2.9e-3 - 1.9e-3 * math.cos(0.5 * math.pi + math.pi / 18), 0.22, 0.9975),
    220: (2.9e-3, 0.22 + 0.18 * math.sin(math.pi / 20), 0.9975 + 0.0025 * math.sin(math.pi / 20)),
    300: (2.9e-3 - 1.9e-3 * math.sin(2 * math.pi / 9), 0.22 + 0.18 * HALF, 0.9975 + 0.0025 * HALF),
    399: (1e-3 + 1.9e-3 * (1 - math.cos(math.pi / 360)), 0.4 - 0.18 * (1 - math.cos(math.pi / 400)),
          1 - 0.0025 * (1 - math.cos(math.pi / 400))),
}  # fmt: skip
BOXES_FROM = 40  # made anew after 40, 80, ... epochs; before that, crops lie anywhere
TOY = [
    "data={reader: example, n_images: 7, size: 32}", "views.size=16", "views.local_size=8", "encoder.size=tiny",
    "encoder.patch=8", "encoder.image_size=[16, 16]", "objective.projector_hidden=8", "objective.projector_out=8",
    "objective.top_k=8", "train.batch_size=4", "train.accelerator=cpu", "train.devices=1", "train.num_nodes=1",
    "train.strategy=auto", "train.precision=32-true", "train.num_workers=0", "train.log_every=400",
    "train.knn_every=null",
]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """What was seen at every step: groups of the optimiser, norm of the gradient, momentum, cuts."""
    steps, cuts, momenta = [], [[]], []
    step, cut, update = torch.optim.AdamW.step, file_crops.draw_cut, PretrainModule.optimizer_step

    def optimiser_step(self, *args, **kwargs):
        result = step(self, *args, **kwargs)  # the closure, with backward pass and clipping, runs in here
        norms = [p.grad.norm() for group in self.param_groups for p in group["params"]]
        groups = [(g["lr"], g["weight_decay"], {p.ndim for p in g["params"]}) for g in self.param_groups]
        steps.append((groups, float(torch.stack(norms).norm())))
        cuts.append([])
        return result

    def draw_cut(size, scale, ratio, rng, *, box=None, alpha):
        found = cut(size, scale, ratio, rng, box=box, alpha=alpha)
        cuts[-1].append((scale, ratio, box, alpha, found.height * found.width / (size[0] * size[1])))
        return found

    def with_teacher(self, *args, **kwargs):
        teacher = self.objective.teacher.module
        old = torch.nn.utils.parameters_to_vector(teacher.parameters()).detach().double()
        update(self, *args, **kwargs)
        new, student = (
            torch.nn.utils.parameters_to_vector(network.parameters()).detach().double()
            for network in (teacher, self.objective.student)
        )
        momenta.append(float((new - student).norm() / (old - student).norm()))  # new = m * old + (1 - m) * student

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(paper.SHAPES, "tiny", paper.Shape(16, 1, 2))
        patch.setattr(torch.optim.AdamW, "step", optimiser_step)
        patch.setattr(file_crops, "draw_cut", draw_cut)
        patch.setattr(PretrainModule, "optimizer_step", with_teacher)
        recipe = load_recipe(find_recipe("imagenet_vit"), TOY)
        pretrain(recipe, tmp_path_factory.mktemp("run") / "run", progress=False)
    return steps, cuts, momenta


pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::bam_core.errors.CollapseWarning"),  # these few images teach nothing
]


def test_every_step_of_an_epoch_is_there(run):
    assert [len(part) for part in run] == [400, 401, 400]


@pytest.mark.parametrize("epoch", TABLE)
def test_rate_decay_and_momentum(run, epoch):
    steps, _, momenta = run
    rate, decay, momentum = TABLE[epoch]
    (with_decay, without), norm = steps[epoch]
    assert with_decay[0] == without[0] == pytest.approx(rate, rel=1e-9, abs=1e-15)
    assert (with_decay[1], without[1]) == (pytest.approx(decay, rel=1e-9), 0.0)
    assert with_decay[2] >= {2}
    assert without[2] <= {0, 1}
    assert norm <= 0.3 * (1 + 1e-5)
    if rate:  # at the first step nothing moves
        assert momenta[epoch] == pytest.approx(momentum, abs=2e-4)


def test_crops(run):
    """Two of a quarter to all of the image, six of a twentieth to a quarter; around boxes after epoch 40 only."""
    _, cuts, _ = run
    for epoch in TABLE:
        assert len(cuts[epoch]) == 4 * 8 + 2 * 8 * (epoch == 0)  # parameters are made from two rows
        kinds = [scale for scale, *_ in cuts[epoch][-4 * 8 :]]
        assert (kinds.count((0.25, 1.0)), kinds.count((0.05, 0.25))) == (8, 24)
        assert {ratio for _, ratio, *_ in cuts[epoch]} == {(3 / 4, 4 / 3)}
        assert all((box is None) == (epoch < BOXES_FROM) for _, _, box, *_ in cuts[epoch])
        assert epoch < BOXES_FROM or {alpha for *_, alpha, _ in cuts[epoch]} == {0.6}
    for low, high in ((0.25, 1.0), (0.05, 0.25)):
        areas = np.array([area for epoch in cuts for scale, *_, area in epoch if scale == (low, high)])
        assert low * 0.8 < areas.min() < areas.max() <= high * 1.2  # whole pixels of an image of 32
        if high < 1:  # the largest of the others are drawn again, since they do not fit
            assert areas.mean() == pytest.approx((low + high) / 2, rel=0.02)


def test_boxes_are_made_anew_every_forty_epochs(run):
    _, cuts, _ = run
    boxes = [sorted({tuple(box) for _, _, box, *_ in epoch if box}) for epoch in cuts[:400]]
    for epoch in range(BOXES_FROM, 400):  # of six images, four are in a batch
        assert len(boxes[epoch]) <= 4
    known = [set().union(*(set(boxes[e]) for e in range(start, start + 40))) for start in range(40, 400, 40)]
    assert all(0 < len(found) <= 6 for found in known)
