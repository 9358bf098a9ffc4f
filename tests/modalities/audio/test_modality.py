import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from ragged import pad

from bam_core.cli import main
from modalities.audio.batches import GRID, collate_clips, draw_clip, log_mel_features
from modalities.audio.mel import mel_settings

pytestmark = pytest.mark.usefixtures("quick_pictures")

FACTS = {"mel": mel_settings(sampling_rate_hz=4000, n_mels=20)}


def noise(*lengths):
    return [torch.randn(1, n, generator=torch.Generator().manual_seed(n)) for n in lengths]


def test_batches_are_floats_with_lengths():
    for rows in (
        [np.array([1, -32768, 3], np.int16), np.array([16384], np.int16)],
        np.array([[1, 2], [3, 4]], np.int16),
    ):
        batch = collate_clips({"signal": rows}, {})
        assert batch["signal"].dtype == torch.float32
        assert batch["length"].tolist() == [len(row) for row in rows]
        assert batch["signal"].shape == (2, 1, max(len(row) for row in rows))
    batch = collate_clips({"signal": [np.array([1, -32768, 3], np.int16), np.array([16384], np.int16)]}, {})
    assert batch["signal"][:, 0].tolist() == [[1 / 32768, -1.0, 3 / 32768], [0.5, 0.0, 0.0]]


def test_raw_features_do_not_depend_on_padding():
    clips = noise(2000, 900, 400)
    alone = torch.cat([log_mel_features(clip[None], facts=FACTS) for clip in clips])
    assert alone.shape == (3, 20 * (GRID + 2))
    torch.testing.assert_close(
        log_mel_features(pad(clips, to=3000, filler=9.0), facts=FACTS), alone, rtol=1e-3, atol=1e-3
    )


def test_pictures_show_the_clip_up_to_its_end():
    figure, axes = plt.subplots()
    draw_clip(axes, {"signal": torch.randn(1, 4000), "length": torch.tensor(2000)}, facts=FACTS)
    assert axes.images[-1].get_array().shape == (20, 51)
    draw_clip(axes, {"signal": torch.randn(20, 60), "length": torch.tensor(30)}, facts=FACTS)
    assert axes.images[-1].get_array().shape == (20, 30)
    plt.close(figure)


@pytest.mark.slow
def test_from_files_to_embeddings_of_new_ones(words, tone, tmp_path):
    run, out = tmp_path / "run", tmp_path / "out.parquet"
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "modality: audio\ndata: {reader: folder, test_fraction: 0.3, pattern: '(?P<label>\\w+)/(?P<group>[a-z]+)_'}\n"
        "views: {name: log_mel}\nencoder: {name: cnn, width: 4, d: 16}\nobjective: {name: bam, epsilon: 0.025}\n"
        "train: {epochs: 1, batch_size: 12, log_every: 1}\nevaluate: {draws: 2}\n"
    )
    assert main(["pretrain", str(recipe), f"data.path={words}", f"run={run}"]) == 0
    assert main(["evaluate", str(run)]) == 0
    assert (run / "report.html").exists()
    for i, rate in enumerate((8000, 16000, 44100)):
        tone(tmp_path / "new" / f"{i}.flac", 0.3, rate=rate, channels=2)
    (tmp_path / "new" / "broken.wav").write_text("no")
    assert main(["embed", str(run), str(tmp_path / "new"), "-o", str(out)]) == 0
    table = pd.read_parquet(out)
    assert table["id"].tolist() == ["0.flac", "1.flac", "2.flac"]
    assert table.filter(regex=r"^e\d").shape == (3, 32)
    assert "broken.wav" in (tmp_path / "out.set_aside.csv").read_text()
    vectors = table.filter(regex=r"^e\d").to_numpy()
    assert np.corrcoef(vectors).min() > 0.99  # the same tone at three rates
    assert main(["embed", str(run), str(tmp_path / "new" / "1.flac"), "-o", str(out)]) == 0
    np.testing.assert_allclose(
        pd.read_parquet(out).filter(regex=r"^e\d").to_numpy()[0], vectors[1], rtol=1e-3, atol=1e-4
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ["encoder={name: vit, patch: 8, width: 32, depth: 2, heads: 2}"],
        ["encoder={name: resnet1d, width: 8, n_blocks: 4}", "views={name: waveform}"],
    ],
)
def test_the_smoke_recipe_with_the_other_encoders(options, tmp_path):
    run = tmp_path / "run"
    assert main(["pretrain", "smoke/audio", f"run={run}", "train.epochs=1", *options]) == 0
    assert main(["evaluate", str(run)]) == 0
    assert (run / "results.json").exists()


@pytest.mark.parametrize("name", ["fsdd_cnn", "speech_commands_cnn", "esc50_cnn"])
def test_recipes_are_valid(name, capsys):
    assert main(["validate", f"audio/{name}"]) == 0
