"""The paper's set-up: its values, and what the trainer makes of them at every step of a short and of the full run."""

import math
from functools import cache

import pytest
import torch
from torch import nn

from bam_core import RecipeError
from bam_core.config.recipe import load_recipe
from bam_core.config.shipped_recipes import find_recipe, header
from bam_core.objectives.bam import make_bam
from bam_core.runs.pretrain import pretrain
from bam_core.training.module import PretrainModule

NAMES = ["imagenet_vit", "imagenet_vit_small", "imagenet_caformer", "imagenet_resnet50"]
STEPS_PER_EPOCH = 1_281_167 // 4096


@cache
def paper(name="imagenet_vit"):
    return load_recipe(find_recipe(name)).recipe


def closed_forms(step, *, total, warmup):
    """Learning rate, weight decay and momentum of the teacher, from the paper's table."""
    rate = 4.8e-3 * step / warmup
    if step >= warmup:
        rate = 1e-3 + 3.8e-3 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2
    fall = (1 + math.cos(math.pi * step / total)) / 2
    return rate, 0.4 - 0.36 * fall, 1 - 0.005 * fall


def test_values_of_the_paper():
    recipe = paper()
    views, objective, train = recipe.views, recipe.objective, recipe.train
    assert (train.epochs, train.warmup_epochs, train.batch_size) == (400, 40, 4096)
    assert train.learning_rate == pytest.approx(3e-4 * 4096 / 256)
    assert (train.final_learning_rate, train.weight_decay, train.final_weight_decay) == (1e-3, 0.04, 0.4)
    assert (train.gradient_clip, train.precision, train.devices, train.num_nodes) == (0.3, "16-mixed", 8, 2)
    assert train.knn_every == 16
    assert {k: objective[k] for k in ("epsilon", "temperature", "iterations", "top_k", "n_target")} == {
        "epsilon": 0.05, "temperature": 0.1, "iterations": 3, "top_k": 128, "n_target": 2,
    }  # fmt: skip
    assert (objective["momentum"], objective["final_momentum"], objective["mask_positives"]) == (0.995, 1.0, True)
    assert objective["positive_weight"] == 0.0
    assert (views["size"], views["local_size"], views["n_views"], views["n_local"]) == (224, 96, 2, 6)
    assert (views["scale"], views["local_scale"]) == ((0.25, 1.0), (0.05, 0.25))
    assert [views[k] for k in ("brightness", "contrast", "saturation", "hue", "jitter_p")] == [0.4, 0.4, 0.4, 0.1, 0.8]
    assert (views["blur_p"], views["local_blur_p"], views["blur_sigma"]) == ((1.0, 0.1), 0.5, (0.1, 2.0))
    assert (views["flip"], views["grayscale_p"], views["solarize_p"]) == (0.5, 0.2, (0.0, 0.2))
    assert (views["boxes_every"], views["boxes_alpha"], views["boxes_threshold"]) == (40, 0.6, 0.1)
    assert (views["crops"], views["jitter_order"], recipe.encoder["drop_path"]) == ("file", "random", 0.0)
    assert (recipe.evaluate.k, recipe.evaluate.temperature) == (20, 0.07)


@pytest.mark.parametrize(
    ("name", "network"),
    [
        ("imagenet_vit", {"name": "vit", "size": "base", "patch": 16, "drop_path": 0.0}),
        ("imagenet_vit_small", {"name": "vit", "size": "small", "patch": 16, "heads": 12, "drop_path": 0.0}),
        ("imagenet_caformer", {"name": "caformer_m36", "drop_path": 0.0}),
        ("imagenet_resnet50", {"name": "timm", "model": "resnet50"}),
    ],
)  # fmt: skip
def test_networks_and_projectors_are_the_papers(name, network):
    recipe = paper(name)
    facts = {"in_channels": 3, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    assert {"image_size": [224, 224], **recipe.encoder} == {"image_size": [224, 224], **network, **facts}
    with torch.device("meta"):
        projector = make_bam(nn.Linear(8, 768), lambda x: [x], total_steps=1, **{
            k: v for k, v in recipe.objective.items() if k.startswith("projector_")
        }).projector  # fmt: skip
    projector(torch.empty(2, 768, device="meta"))
    layers = [layer for layer in projector.modules() if not list(layer.children())]
    assert [isinstance(layer, nn.GELU) for layer in layers] == [False, True, False, True, False]  # and no batch norm
    assert [tuple(layer.weight.shape) for layer in layers[::2]] == [(4096, 768), (4096, 4096), (4096, 4096)]
    assert all(layer.bias is not None for layer in layers[::2])


@pytest.mark.parametrize("name", NAMES)
def test_variants_differ_in_the_network_only_and_explain_themselves(name):
    whole, other = (paper(n).model_dump() for n in ("imagenet_vit", name))
    assert {k for k in whole if whole[k] != other[k]} <= {"encoder"}
    text = header(find_recipe(name))
    for part in ("Cost:", "Expected:", "--dry-run", "torchrun --nnodes 2", "sbatch", "train.num_nodes=1"):
        assert part in text
    assert "nobody has run this recipe yet" in text


def module_of(recipe, folder, *, steps_per_epoch, epochs):
    total = steps_per_epoch * epochs
    options = {k: v for k, v in recipe.objective.items() if k != "name" and not k.startswith("projector_")}
    objective = make_bam(nn.Linear(4, 4), lambda x: [x, x], total_steps=total, projector_layers=1, **options)
    objective.initialize(torch.randn(8, 4))
    return PretrainModule(
        objective, recipe.train, total_steps=total, steps_per_epoch=steps_per_epoch, folder=folder
    )  # fmt: skip


@pytest.mark.slow
def test_every_step_of_the_full_run_has_the_values_of_the_closed_forms(tmp_path):
    module = module_of(paper(), tmp_path, steps_per_epoch=STEPS_PER_EPOCH, epochs=400)
    total, warmup = 400 * STEPS_PER_EPOCH, 40 * STEPS_PER_EPOCH
    assert total == 124_800
    for step in range(total + 1):
        rate, decay, momentum = closed_forms(step, total=total, warmup=warmup)
        assert abs(module.learning_rate(step) - rate) < 1e-15
        assert abs(module.weight_decay(step) - decay) < 1e-12
        assert abs(module.objective.teacher.momentum_at(step) - momentum) < 1e-12
    assert (module.objective.epsilon, module.objective.temperature) == (0.05, 0.1)  # they stay


SHORT = [
    "data={reader: example, n_images: 42, size: 32}", "views.size=16", "views.local_size=8", "encoder.size=tiny",
    "encoder.patch=8", "encoder.image_size=[16, 16]", "objective.projector_hidden=16", "objective.projector_out=16",
    "objective.top_k=8", "train.epochs=5", "train.warmup_epochs=1.5", "train.batch_size=8", "train.accelerator=cpu",
    "train.devices=1", "train.num_nodes=1", "train.strategy=auto", "train.precision=32-true", "train.num_workers=0",
    "views.boxes_every=4", "train.log_every=1",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::bam_core.errors.CollapseWarning")  # these few images teach nothing
def test_every_step_of_a_short_run(tmp_path, monkeypatch):
    """What optimiser and teacher really get, in the trainer: values, groups, clipped gradients, frozen tensors."""
    seen, teachers = [], []
    step, update = torch.optim.AdamW.step, PretrainModule.optimizer_step

    def recorded(self, *args, **kwargs):
        result = step(self, *args, **kwargs)  # the closure, with backward pass and clipping, runs in here
        gradients = [p.grad.detach().norm() for g in self.param_groups for p in g["params"]]
        seen.append(([dict(g, params=len(g["params"])) for g in self.param_groups], torch.stack(gradients).norm()))
        return result

    def with_teacher(self, *args, **kwargs):
        before = {n: p.clone() for n, p in self.objective.teacher.module.named_parameters()}
        update(self, *args, **kwargs)
        student = dict(self.objective.student.named_parameters())
        after = dict(self.objective.teacher.module.named_parameters())
        momentum = closed_forms(len(teachers), total=20, warmup=6)[2]
        for name, value in after.items():
            torch.testing.assert_close(value, momentum * before[name] + (1 - momentum) * student[name])
        teachers.append({n for n, p in student.items() if torch.equal(p, before[n]) and not p.requires_grad})

    monkeypatch.setattr(torch.optim.AdamW, "step", recorded)
    monkeypatch.setattr(PretrainModule, "optimizer_step", with_teacher)
    pretrain(load_recipe(find_recipe("imagenet_vit"), SHORT), tmp_path / "run", progress=False)
    assert len(seen) == 20
    for k, (groups, norm) in enumerate(seen):
        rate, decay, _ = closed_forms(k, total=20, warmup=6)
        assert [g["lr"] for g in groups] == pytest.approx([rate, rate], abs=1e-15)
        assert [g["weight_decay"] for g in groups] == pytest.approx([decay, 0.0], abs=1e-12)
        assert norm <= 0.3 * (1 + 1e-5)
    assert max(norm for _, norm in seen) > 0.299
    frozen = {"encoder.trunk.network.patch_embed.proj.weight", "encoder.trunk.network.patch_embed.proj.bias",
              "encoder.trunk.network.pos_embed"}  # fmt: skip
    assert all(names == frozen for names in teachers)


def test_a_rate_that_would_rise_is_refused():
    """The trap of a fixed lower bound: a small batch whose peak lies below it."""
    with pytest.raises(RecipeError, match=r"final_learning_rate expected at most learning_rate, 0.0003, .* got 0.001"):
        load_recipe(find_recipe("imagenet_vit"), ["train.batch_size=256", "train.learning_rate=3e-4"])
