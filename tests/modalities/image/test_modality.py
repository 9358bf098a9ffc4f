import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from bam_core.cli import main
from modalities.image.batches import draw_image, raw_image

pytestmark = pytest.mark.usefixtures("quick_pictures")


def test_raw_features_are_pixels_up_to_16():
    small = torch.randint(256, (3, 1, 8, 8), dtype=torch.uint8)
    torch.testing.assert_close(raw_image(small), small.flatten(1) / 255)
    assert raw_image(torch.rand(2, 3, 32, 40)).shape == (2, 3 * 16 * 16)
    torch.testing.assert_close(raw_image(torch.full((1, 1, 64, 64), 0.3)), torch.full((1, 256), 0.3))


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures(channels):
    figure, axes = plt.subplots()
    draw_image(axes, torch.randint(256, (channels, 8, 10), dtype=torch.uint8))
    draw_image(axes, torch.rand(channels, 8, 10))
    assert axes.images[-1].get_array().shape[:2] == (8, 10)
    plt.close(figure)


@pytest.mark.slow
def test_from_files_to_embeddings_of_new_ones(fruit, picture, tmp_path):
    run, out = tmp_path / "run", tmp_path / "out.parquet"
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "modality: image\ndata: {reader: folder, size: 16, decoding: in_workers}\nviews: {name: image, n_local: 1}\n"
        "encoder: {name: resnet18, width: 4}\nobjective: {name: bam, epsilon: 0.025}\n"
        "train: {epochs: 2, batch_size: 8, log_every: 1}\nevaluate: {draws: 2}\n"
    )
    assert main(["pretrain", str(recipe), f"data.path={fruit}", f"run={run}"]) == 0
    assert main(["evaluate", str(run)]) == 0
    assert (run / "report.html").exists()
    for i, mode in enumerate(("RGB", "L", "RGBA")):
        picture(tmp_path / "new" / f"{i}.png", size=(30 + 10 * i, 40), mode=mode)
    (tmp_path / "new" / "broken.png").write_text("no")
    assert main(["embed", str(run), str(tmp_path / "new"), "-o", str(out)]) == 0
    embedded = pd.read_parquet(out)
    assert embedded["id"].tolist() == ["0.png", "1.png", "2.png"]
    assert embedded.filter(regex=r"^e\d").shape == (3, 32)
    assert "broken.png" in (tmp_path / "out.set_aside.csv").read_text()
    assert main(["embed", str(run), str(tmp_path / "new" / "1.png"), "-o", str(out)]) == 0
    again = pd.read_parquet(out).filter(regex=r"^e\d").to_numpy()[0]
    np.testing.assert_allclose(again, embedded.filter(regex=r"^e\d").to_numpy()[1], rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ["encoder={name: vit_tiny, width: 12, depth: 1}", "views={name: image, n_local: 2}"],
        ["encoder={name: timm, model: resnet10t}", "train.batch_size=96"],
    ],
)
def test_the_smoke_recipe_with_the_other_encoders(options, tmp_path):
    run = tmp_path / "run"
    assert main(["pretrain", "smoke/image", f"run={run}", "train.epochs=1", *options]) == 0
    assert main(["evaluate", str(run)]) == 0
    assert (run / "results.json").exists()


@pytest.mark.parametrize("name", ["digits_cnn", "cifar10_resnet18", "cifar10_vit_tiny"])
def test_recipes_are_valid(name, capsys):
    assert main(["validate", f"image/{name}"]) == 0
