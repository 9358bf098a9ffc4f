import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional as tv

from bam_core.cli import main
from bam_core.errors import InputError
from bam_core.training.checkpoints import checkpoints
from modalities.image.encoders import timm_encoder, vit
from modalities.image.file_crops import FileCrops, Kind
from modalities.image.views import ImageViews

FACTS = {"in_channels": 3, "image_size": [24, 24]}
DINO = {
    "size": 224, "local_size": 96, "n_local": 6, "scale": (0.25, 1.0), "local_scale": (0.05, 0.25),
    "jitter_order": "random", "blur_sigma": (0.1, 2.0), "blur_p": (1.0, 0.1), "local_blur_p": 0.5,
    "solarize_p": (0.0, 0.2), "crops": "file",
}  # fmt: skip


def views(**options):
    return ImageViews(image_size=[24, 24], **{"crops": "file", "size": 16, "local_size": 8, "n_local": 2, **options})


@pytest.fixture
def files(tmp_path, picture):
    sizes = [(40, 30), (20, 50), (64, 64)]
    return [str(picture(tmp_path / f"{i}.png", size=size, seed=i)) for i, size in enumerate(sizes)]


def read(view_fn, files, rows=None, seed=(0, 0), facts=FACTS):
    return view_fn.loader({"file": files}, facts, rows=range(len(files)) if rows is None else rows, seed=seed)


def test_crops_of_the_paper(files):
    view_fn = ImageViews(image_size=[224, 224], **DINO)
    batch = read(view_fn, files)
    assert {k: (tuple(v.shape), v.dtype) for k, v in batch.items()} == {
        "global": ((3, 2, 3, 224, 224), torch.uint8),
        "local": ((3, 6, 3, 96, 96), torch.uint8),
    }
    made = view_fn(batch, generator=torch.Generator().manual_seed(0))
    assert [tuple(v.shape[1:]) for v in made.global_views] == [(3, 224, 224)] * 2
    assert [tuple(v.shape[1:]) for v in made.local_views] == [(3, 96, 96)] * 6


def test_a_crop_is_pillows_of_the_part_alone(files):
    """Whole image, one size: nothing but bicubic with antialiasing; torchvision agrees to the rounding of 8 bit."""
    loader = FileCrops({"global": Kind(1, (16, 20), (1.0, 1.0))}, ratio=(4 / 3, 4 / 3), flip=0.0)
    pixels = np.asarray(Image.open(files[0])).transpose(2, 0, 1)
    made = loader({"file": files[:1]}, FACTS, rows=[0], seed=(0, 0))["global"][0, 0]
    expected = tv.resize(torch.from_numpy(pixels.copy()), [16, 20], tv.InterpolationMode.BICUBIC, antialias=True)
    assert (made.int() - expected.int()).abs().max() <= 1


def test_crops_come_from_the_whole_of_a_wide_image(tmp_path):
    """What a reader cuts to its middle is reached: the ends of a ramp of 1 x 4 are seen."""
    ramp = np.linspace(0, 255, 400).astype(np.uint8)[None].repeat(100, 0)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    view_fn = views(scale=(0.05, 0.1), n_local=0, flip=0.0)
    batch = read(view_fn, [str(tmp_path / "ramp.png")] * 100, facts={**FACTS, "in_channels": 1})["global"]
    means = batch.float().mean(dim=(2, 3, 4)).flatten()
    assert means.min() < 30
    assert means.max() > 225
    assert means.mean().item() == pytest.approx(127, abs=20)


def test_draws_follow_from_seed_pass_and_row_alone(files):
    view_fn = views()
    whole = read(view_fn, files)
    part = read(view_fn, files[1:], rows=[1, 2])
    assert all(torch.equal(whole[k][1:], part[k]) for k in whole)
    for other in (
        read(view_fn, files, seed=(1, 0)),
        read(view_fn, files, seed=(0, 1)),
        read(view_fn, files, [3, 4, 5]),
    ):
        assert not torch.equal(whole["global"], other["global"])
    assert not torch.equal(whole["global"][:, 0], whole["global"][:, 1])


def test_mirrored_as_often_as_asked(tmp_path):
    ramp = np.linspace(0, 255, 40).astype(np.uint8)[None].repeat(40, 0)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    view_fn = views(flip=0.3, n_local=0, scale=(0.5, 1.0))
    batch = read(view_fn, [str(tmp_path / "ramp.png")] * 400, facts={**FACTS, "in_channels": 1})["global"].int()
    mirrored = (batch[..., 0] > batch[..., -1]).float().mean().item()
    assert mirrored == pytest.approx(0.3, abs=0.05)


def test_any_source_gives_the_same(files, tmp_path):
    view_fn = views()
    expected = read(view_fn, files[:1])
    content = Path(files[0]).read_bytes()
    (tmp_path / "shard.tar").write_bytes(b"before" + content + b"behind")
    pixels = np.asarray(Image.open(files[0])).transpose(2, 0, 1)
    for columns, facts in (
        ({"encoded": [content]}, FACTS),
        ({"encoded": [{"bytes": content, "path": None}]}, FACTS),
        ({"encoded": [{"bytes": None, "path": files[0]}]}, FACTS),
        ({"file": [str(tmp_path / "shard.tar")], "offset": [6], "size": [len(content)]}, FACTS),
        ({"image": pixels[None].reshape(1, -1)}, {**FACTS, "image_size": [30, 40]}),
    ):
        made = view_fn.loader(columns, facts, rows=[0], seed=(0, 0))
        assert all(torch.equal(made[k], expected[k]) for k in expected)


def test_a_broken_file_is_named_and_grey(files, tmp_path):
    (tmp_path / "1.png").write_bytes(b"no image")
    with pytest.warns(UserWarning, match=r"1.png is no image.*grey takes its place"):
        batch = read(views(), files)
    assert (batch["global"][1] == 128).all()
    assert (batch["local"][1] == 128).all()
    assert not (batch["global"][0] == 128).all()
    with pytest.warns(UserWarning, match="image 7 of train is no image"):
        views().loader({"encoded": [b"no"]}, FACTS, rows=[7], seed=(0, 0))
    assert (views().loader.load({"file": files}, FACTS)[1] == 128).all()


def test_boxes_decide_where_crops_lie(tmp_path):
    """A white quarter, and a box around it: views without it show black, views with it white."""
    pixels = np.zeros((400, 400), np.uint8)
    pixels[200:, 200:] = 255
    Image.fromarray(pixels).save(tmp_path / "quarter.png")
    view_fn = views(boxes_every=40, scale=(0.01, 0.02), local_scale=(0.01, 0.02))
    names, facts = [str(tmp_path / "quarter.png")] * 60, {**FACTS, "in_channels": 1}
    anywhere = read(view_fn, names, facts=facts)
    view_fn.loader.state = torch.tensor([[0.6, 0.6, 0.9, 0.9]]).expand(60, 4)
    around = read(view_fn, names, facts=facts)
    for kind in ("global", "local"):
        assert (anywhere[kind].float().mean(dim=(2, 3, 4)) < 10).float().mean() > 0.5
        assert (around[kind] > 200).all()


def test_when_to_look():
    loader = views(boxes_every=40).loader
    assert [n for n in range(1, 401) if loader.should_refresh(n)] == [40 * k for k in range(1, 11)]
    assert not any(views().loader.should_refresh(n) for n in range(1, 401))


@pytest.mark.parametrize("network", ["vit", "resnet10t"])
def test_boxes_from_a_network(network, files):
    facts = {**FACTS, "mean": [0.5] * 3, "std": [0.25] * 3}
    encoder = vit(**facts, size="tiny", patch=8) if network == "vit" else timm_encoder(model=network, **facts)
    loader = views(boxes_every=1).loader
    whole = loader.load({"file": files}, FACTS)
    assert whole.shape == (3, 3, 16, 16)
    with torch.no_grad():
        made = loader.compute(encoder.eval(), whole)
    assert made.shape == (3, 4)
    assert ((made[:, :2] < made[:, 2:]) & (made >= 0).all() & (made <= 1).all()).all()


def test_images_of_a_batch_still_make_views():
    batch = torch.randint(256, (4, 3, 24, 24), dtype=torch.uint8)
    assert [tuple(v.shape[2:]) for v in views()(batch).global_views] == [(16, 16)] * 2


@pytest.mark.parametrize(
    ("change", "shares"),
    [
        ({"blur_sigma": (0.1, 2.0), "blur_p": (1.0, 0.1), "local_blur_p": 0.5}, [1.0, 0.1] + [0.5] * 6),
        ({"solarize_p": (0.0, 0.2)}, [0.0, 0.2] + [0.0] * 6),
        ({"grayscale_p": 0.2}, [0.2] * 8),
        ({"jitter_p": 0.8, "jitter_order": "random"}, [0.8] * 8),
    ],
)
def test_crops_are_changed_as_often_as_the_paper_says(change, shares):
    """The paper's probabilities one at a time, on crops of coloured noise, by view."""
    still = {"jitter_p": 0.0, "grayscale_p": 0.0}
    view_fn = ImageViews(image_size=[8, 8], **{**DINO, "size": 8, "local_size": 8, "blur_sigma": None,
                                               "solarize_p": (0.0,), **still, **change})  # fmt: skip
    noise = torch.randint(256, (3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    batch = {"global": noise.expand(800, 2, 3, 8, 8), "local": noise.expand(800, 6, 3, 8, 8)}
    made = view_fn(batch, generator=torch.Generator().manual_seed(0))
    found = [
        ((view - noise / 255).abs().amax(dim=(1, 2, 3)) > 1e-6).float().mean().item()
        for view in (*made.global_views, *made.local_views)
    ]
    threshold = 0.06 if "blur_sigma" not in change else 0.12  # the weakest blurs change nothing
    assert found == pytest.approx(shares, abs=threshold)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"boxes_every": 0}, r"boxes_every >= 1, .* got 0, 0.6, 0.1"),
        ({"boxes_every": 40, "boxes_alpha": 0.0}, "boxes_alpha > 0"),
        ({"boxes_every": 40, "boxes_threshold": 1.0}, r"boxes_threshold in \[0, 1\)"),
        ({"boxes_every": 40, "crops": "batch"}, "expected crops: file with boxes_every"),
        ({"crops": "folder"}, "crops batch or file; got fixed, folder"),
        ({"jitter_order": "any"}, "jitter_order fixed or random"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(InputError, match=message):
        views(**options)


def test_looking_needs_boxes():
    with pytest.raises(InputError, match="look expected views with boxes_every"):
        views().loader.compute(torch.nn.Identity(), torch.zeros(1, 3, 8, 8))


RECIPE = """
modality: image
data: {reader: folder, decoding: in_workers, test_fraction: 0.0}
views: {name: image, crops: file, size: 16, local_size: 8, n_local: 1, boxes_every: 1, jitter_order: random}
encoder: {name: vit, size: tiny, patch: 8, image_size: [16, 16]}
objective: {name: bam, epsilon: 0.025, momentum: 0.9, projector_hidden: 16, projector_out: 16}
train: {epochs: 3, batch_size: 8, log_every: 1, checkpoint_every: 1, num_workers: 2}
"""


@pytest.mark.slow
def test_a_run_looks_after_every_pass_and_resumes_to_the_bit(fruit, tmp_path, monkeypatch):
    """Stopped in the middle of the second pass, which already crops around boxes, and with no reading processes."""
    from bam_core.training.module import PretrainModule

    (tmp_path / "r.yaml").write_text(RECIPE)
    command = ["pretrain", str(tmp_path / "r.yaml"), f"data.path={fruit}"]
    parts = [*command, f"run={tmp_path / 'parts'}", "train.num_workers=0"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert main([*command, f"run={tmp_path / 'whole'}"]) == 0
    step = PretrainModule.optimizer_step

    def failing(self, *args, **kwargs):
        if self.global_step == 3:
            raise RuntimeError("killed")
        step(self, *args, **kwargs)

    monkeypatch.setattr(PretrainModule, "optimizer_step", failing)
    with pytest.raises(RuntimeError, match="killed"):
        main(parts)
    monkeypatch.setattr(PretrainModule, "optimizer_step", step)
    assert main(parts) == 0
    states = []
    for name in ("whole", "parts"):
        newest = checkpoints(tmp_path / name / "checkpoints")[-1]
        assert newest.stem == "step=00000006"
        states.append(torch.load(newest, weights_only=True))
    weights = [state["state_dict"] for state in states]
    assert all(torch.equal(v, weights[1][k]) for k, v in weights[0].items() if isinstance(v, torch.Tensor))
    tables = [next(c["table"] for c in state["callbacks"].values() if "table" in c) for state in states]
    assert torch.equal(*tables)
    assert tables[0].shape == (20, 4)
    assert json.loads((tmp_path / "parts" / "environment.json").read_text())["resumed"][0]["step"] == 3
