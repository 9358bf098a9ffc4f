"""Counts against closed forms of networks that can be counted by hand; nothing is read, written or downloaded."""

import os
import socket

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bam_core import InputError
from bam_core.cli import main
from bam_core.config.recipe import load_recipe
from bam_core.config.shipped_recipes import find_recipe
from bam_core.planning.dry_run import dry_run
from bam_core.planning.estimate import Counted, Size, communicated_bytes, hours, memory_bytes, step_flops
from bam_core.planning.step_counter import FORMULAS

D, DEPTH, PATCH = 192, 12, 8
SMALL = [
    "data.size=32", "views.size=32", "views.local_size=16", "encoder.size=tiny", f"encoder.patch={PATCH}",
    "encoder.image_size=[32, 32]", "objective.projector_hidden=64", "objective.projector_out=32",
]  # fmt: skip
COUNTED = Counted(
    parameters=120, trained=100, encoder_parameters=80, teacher_parameters=120, n_views=8, n_columns=2, width=4096,
    iterations=3, tokens=616, flops=4e11, activation_bytes=1e8, constant_bytes=2e8, view_bytes=1e6, largest_view=0.3,
    forward_flops=1e11,
)  # fmt: skip
FULL = Size(batch_size=4096, devices=16, samples=1_281_167, epochs=400)


def vit_flops(n):
    """Of one image of n tokens, forward: projections, MLP, attention; 2 for multiply and add."""
    return DEPTH * (2 * n * 12 * D * D + 4 * n * n * D)


def projector_flops():
    return 2 * (D * 64 + 64 * 64 + 64 * 32)


@pytest.mark.slow
def test_counts_are_those_of_a_vit_counted_by_hand():
    made = dry_run(load_recipe(find_recipe("imagenet_vit"), SMALL), samples=1_281_167)
    counted, sizes = made.counted, [17] * 2 + [5] * 6  # tokens of 32 and 16 pixels, with the class token
    assert counted.tokens == sum(sizes)
    assert (counted.n_views, counted.n_columns, counted.width, counted.iterations) == (8, 2, 32, 3)
    frozen = PATCH * PATCH * 3 * D + D + 17 * D
    assert counted.parameters - counted.trained == frozen
    assert counted.teacher_parameters == counted.parameters
    assert counted.parameters - counted.encoder_parameters == D * 64 + 64 * 64 + 64 * 32 + 64 + 64 + 32
    forward = sum(vit_flops(n) for n in sizes) + 8 * projector_flops()
    patches = sum(2 * (n - 1) * PATCH * PATCH * 3 * D for n in sizes)
    attention_again = sum(DEPTH * 2 * n * n * D for n in sizes)  # scores are computed once more going back
    expected = 4 * forward + 2 * patches + attention_again
    blur = 2 * 2 * 3 * 32**3 * 2 + 6 * 2 * 3 * 16**3 * 2
    assert counted.flops == pytest.approx(expected + blur, rel=0.01)
    once = sum(vit_flops(n) for n in sizes) + patches
    assert counted.forward_flops == pytest.approx(once, rel=0.01)
    assert counted.view_bytes == 4 * 3 * (2 * 32**2 + 6 * 16**2)
    assert counted.largest_view == pytest.approx(32**2 / (2 * 32**2 + 6 * 16**2))
    kept = 2 * sum(n * D * DEPTH * 10 for n in sizes)  # at least so much of each block, in half precision
    assert kept < counted.activation_bytes < 6 * kept
    assert made.size.steps == 124_800
    assert all(loss > 0 for loss in made.losses)


@pytest.mark.parametrize("groups", [1, 2, 8])
def test_convolutions_take_three_times_the_forward_pass(groups):
    layers = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=groups), nn.Conv2d(8, 8, 3, padding=1, groups=groups))
    with FlopCounterMode(display=False, custom_mapping=FORMULAS) as counter:
        layers(torch.rand(2, 8, 6, 6)).sum().backward()
    once = 2 * 2 * 36 * 9 * 8 * 8 // groups
    assert counter.get_total_flops() == (2 + 3) * once  # the images need no gradient


def test_attention_takes_seven_products():
    q = torch.rand(2, 4, 10, 16, requires_grad=True)
    with FlopCounterMode(display=False, custom_mapping=FORMULAS) as counter:
        nn.functional.scaled_dot_product_attention(q, q, q).sum().backward()
    assert counter.get_total_flops() == 7 * 2 * 2 * 4 * 10 * 10 * 16


def test_steps_and_operations():
    assert FULL.steps == 400 * 312
    assert Size(4096, 16, 100, 3).steps == 3
    compare = 6 * (8 * 4096) * (2 * 4096) * 4096
    assert step_flops(COUNTED, FULL) == 4e11 * 4096 + compare
    halved = Size(4096, 8, 1_281_167, 400, micro_batch=512)
    assert step_flops(COUNTED, halved) == 5e11 * 4096 + compare
    assert step_flops(COUNTED, Size(4096, 8, 1_281_167, 400, micro_batch=4096)) == 4e11 * 4096 + compare
    seconds = 124_800 * step_flops(COUNTED, FULL) / (16 * 312e12 * 0.35)
    assert hours(COUNTED, FULL, tflops=312.0, efficiency=0.35) == pytest.approx(seconds / 3600)


def test_traffic_is_that_of_the_documentation():
    """docs/scaling.md: 8 ranks, 8,192 rows and columns of width 256; and 8 bytes a parameter."""
    counted = Counted(
        parameters=24_000_000, trained=24_000_000, encoder_parameters=0, teacher_parameters=0, n_views=2, n_columns=2,
        width=256, iterations=3, tokens=None, flops=0.0, activation_bytes=0.0, constant_bytes=0.0, view_bytes=0.0,
        largest_view=0.5, forward_flops=0.0,
    )  # fmt: skip
    sent = communicated_bytes(counted, Size(4096, 8, 10_000, 1))
    assert sent["columns"] / 2**20 == 7
    assert sent["gradients of the columns"] / 2**20 == 14
    assert sent["column totals"] == 4 * 8192 * 3 * 7 < 2**20
    assert sent["gradients of the network"] == pytest.approx(160 * 2**20, rel=0.01)
    assert not any(communicated_bytes(counted, Size(4096, 1, 10_000, 1)).values())
    assert communicated_bytes(COUNTED, FULL)["gradients of the columns"] == 0  # with a teacher none flow


def test_memory_grows_with_what_a_device_holds():
    memory = memory_bytes(COUNTED, FULL)
    assert memory["activations"] == 256 * 1e8
    assert memory["views"] == 2 * 256 * 1e6
    assert memory["scores"] == 3 * 4 * (8 * 256) * 8192
    assert memory["weights, gradients, AdamW"] == 4 * 120 + 16 * 100
    assert memory_bytes(COUNTED, Size(4096, 16, 10**6, 1, micro_batch=80))["activations"] == 24 * 1e8
    assert memory_bytes(COUNTED, Size(4096, 1, 10**6, 1))["weights, gradients, AdamW"] == 4 * 120 + 12 * 100


@pytest.mark.slow
@pytest.mark.parametrize("name", ["smoke/image", "smoke/ecg", "smoke/tabular"])
def test_the_command_reads_and_leaves_nothing(name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket, "create_connection", None)
    cache = os.environ["BAM_CACHE"]
    assert main(["pretrain", name, "--dry-run", "--tflops", "10", "train.devices=4"]) == 0
    out = capsys.readouterr().out
    for part in ("two steps", "parameters", "operations a step", "received a step", "memory", "passes over 1,000,000",
                 "35% of 10 TFLOP/s", "download"):  # fmt: skip
        assert part in out
    assert out.rstrip().endswith("nothing")
    assert not list(tmp_path.iterdir())
    assert os.environ["BAM_CACHE"] == cache


@pytest.mark.parametrize(
    ("options", "devices", "said"),
    [
        (["train.devices=auto"], 1, ["1,000,000 samples", "one device a machine for train.devices=auto"]),
        (["train.devices='8'", "train.num_nodes=2"], 16, ["1,000,000 samples"]),
        (["train.devices=[0, 1]", "train.strategy=fsdp"], 2, ["1,000,000 samples", "as with ddp"]),
    ],
)
def test_what_is_assumed_is_said(options, devices, said):
    made = dry_run(load_recipe(find_recipe("smoke/tabular"), options))
    assert made.size.devices == devices
    assert len(made.assumed) == len(said)
    assert all(words in line for words, line in zip(said, made.assumed, strict=True))
    assert all(line in made.table() for line in made.assumed)
    assert not dry_run(load_recipe(find_recipe("smoke/tabular")), samples=1000).assumed


def test_networks_that_cannot_be_looked_at_are_found_before_the_run():
    small = [*SMALL[:3], *SMALL[-2:], "encoder={name: cnn, in_channels: 3, mean: [0, 0, 0], std: [1, 1, 1]}"]
    recipe = load_recipe(find_recipe("imagenet_vit"), small)
    with pytest.raises(InputError, match=r"saliency expected a network of timm"):
        dry_run(recipe)


@pytest.mark.parametrize("options", [{"samples": 1}, {"tflops": 0.0}, {"efficiency": 1.5}])
def test_wrong_assumptions(options):
    with pytest.raises(InputError, match=r"expected samples >= 2, tflops > 0 and efficiency in \(0, 1\]; got"):
        dry_run(load_recipe(find_recipe("smoke/image")), **options)


def test_what_would_be_downloaded():
    recipe = load_recipe(
        find_recipe("smoke/image"), ["data={reader: huggingface, path: some/set, download: true}", "encoder.name=cnn"]
    )
    assert dry_run(recipe).download == "the data set 'some/set'"


def test_an_objective_that_calls_the_trunk_alone_is_counted():
    counted = dry_run(load_recipe(find_recipe("smoke/tabular_jepa"))).counted
    assert counted.forward_flops > 0
    assert counted.view_bytes > 0
    assert counted.tokens > 0
