"""A disk that is full, in the middle of a run: one line, nothing partial, and the run goes on when there is room."""

import os
import resource
import stat
from pathlib import Path

import pytest
import torch
from run_folders import state_of

from bam_core.cli import main
from bam_core.errors import OutputError
from bam_core.runs.pretrain import pretrain
from bam_core.training.checkpoints import CheckpointFile

ROOM = 64 * 1024  # bytes a file may have


@pytest.fixture
def no_room():
    """Files may grow to a size only: to the process that is as a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_run_that_filled_the_disk_goes_on(smoke, tmp_path, no_room, monkeypatch):
    recipe = smoke("train.epochs=2", "train.checkpoint_every=2")
    whole = pretrain(recipe, tmp_path / "whole", progress=False)
    folder = tmp_path / "run"
    save = CheckpointFile.save_checkpoint

    def save_until_it_is_full(self, checkpoint, path, storage_options=None):
        if checkpoint["global_step"] == 4:
            no_room()
        save(self, checkpoint, path, storage_options)

    with monkeypatch.context() as patch:
        patch.setattr(CheckpointFile, "save_checkpoint", save_until_it_is_full)
        with pytest.raises(OutputError, match=r"step=00000004.ckpt cannot be written: .*Make room, or write elsewhere"):
            pretrain(recipe, folder, progress=False)
    assert [f.name for f in (folder / "checkpoints").iterdir()] == ["step=00000002.ckpt"]
    assert not list(folder.rglob("*partial*"))
    assert not (folder / "encoder").exists()
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.getrlimit(resource.RLIMIT_FSIZE)[1],) * 2)
    pretrain(recipe, folder, progress=False)
    (state, _), (other, _) = state_of(whole), state_of(folder)
    assert all(torch.equal(state[name], other[name]) for name in state)


def test_a_full_disk_keeps_the_encoder_of_before(smoke, tmp_path, no_room):
    from bam_core.runs.pretrained import PretrainedEncoder

    encoder = PretrainedEncoder("ecg", {"name": "resnet1d", "in_channels": 1, "width": 32})
    encoder.save_pretrained(tmp_path / "a")
    before = {f.name: f.read_bytes() for f in (tmp_path / "a").iterdir()}
    torch.nn.init.zeros_(next(encoder.parameters()))
    no_room()
    with pytest.raises(OutputError, match=r"a cannot be written: .*what was there before is as it was"):
        encoder.save_pretrained(tmp_path / "a")
    assert {f.name: f.read_bytes() for f in (tmp_path / "a").iterdir()} == before


@pytest.mark.parametrize("mask", [0o022, 0o007])
def test_weights_and_prepared_data_follow_the_umask(smoke, tmp_path, mask, monkeypatch):
    monkeypatch.setenv("BAM_CACHE", str(tmp_path / "cache"))
    before = os.umask(mask)
    try:
        folder = pretrain(smoke("train.epochs=1"), tmp_path / "run", progress=False)
    finally:
        os.umask(before)
    paths = [p for p in (*folder.rglob("*"), *(tmp_path / "cache").rglob("*")) if p.suffix != ".lock"]
    assert {"model.safetensors", "step=00000003.ckpt", "train.arrow"} <= {p.name for p in paths}
    for path in paths:
        assert stat.S_IMODE(path.stat().st_mode) == (0o777 if path.is_dir() else 0o666) & ~mask, path


@pytest.mark.parametrize(
    "command",
    [
        ["recipes", "copy", "smoke/ecg", "no/such/folder/a.yaml"],
        ["new", "modality", "waves", "--folder", "file/waves"],
        ["pretrain", "smoke/ecg", "run=file/run"],
    ],
)
def test_a_place_that_cannot_be_written_is_one_line(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    assert main(command) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_other_errors_of_the_system_are_one_line_too(tmp_path, capsys):
    (tmp_path / "recipe.yaml").mkdir()
    (tmp_path / "a.yaml").write_bytes(b"modality: \xff\n")
    assert main(["validate", str(tmp_path / "recipe.yaml")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_notebooks_backend_does_no_harm(monkeypatch, capsys):
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    assert main(["recipes"]) == 0
    assert os.environ["MPLBACKEND"] == "agg"
