import errno
import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from bam_core import outputs
from bam_core.errors import OutputError
from bam_core.outputs import explained, make_folder, write_text, written, written_folder


def raising(number, path="x"):
    def fail(*args, **kwargs):
        raise OSError(number, os.strerror(number), path)

    return fail


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_rights_follow_the_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_text(tmp_path / "a", "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~mask


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "No space left on device. Make room, or write elsewhere; what was there before is as it was"),
        (errno.EROFS, "Read-only file system. Take a folder that you may write to"),
        (errno.EACCES, "Permission denied. Take a folder that you may write to"),
        (errno.EIO, "Input/output error. Look at the disk, or write elsewhere"),
    ],
)
def test_what_cannot_be_written_leaves_the_old_file_and_nothing_partial(tmp_path, number, words, monkeypatch):
    path = tmp_path / "a"
    path.write_text("old")

    def stop_halfway():
        with written(path) as partial:
            partial.write_text("half of the n")
            raising(number)()

    with pytest.raises(OutputError, match=f"a cannot be written: {words}"):
        stop_halfway()
    monkeypatch.setattr(outputs.os, "fsync", raising(number))
    with pytest.raises(OutputError, match=f"a cannot be written: {words}"):
        write_text(path, "new")
    assert [f.name for f in tmp_path.iterdir()] == ["a"]
    assert path.read_text() == "old"


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(OutputError, match=r"no/a cannot be written: No such file or directory\. Make its folder first"):
        write_text(tmp_path / "no" / "a", "text")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file/a cannot be written: Not a directory\. Make its folder first"):
        make_folder(tmp_path / "file" / "a")


def test_a_folder_is_replaced_only_by_a_complete_one(tmp_path):
    folder = tmp_path / "a"
    make_folder(folder)
    (folder / "old").touch()

    def stop_halfway():
        with written_folder(folder) as partial:
            partial.mkdir()
            (partial / "new").touch()
            raising(errno.ENOSPC)()

    with pytest.raises(OutputError, match="a cannot be written: No space"):
        stop_halfway()
    assert [f.name for f in tmp_path.rglob("*")] == ["a", "old"]
    with written_folder(folder) as partial:
        partial.mkdir()
        (partial / "new").touch()
    assert sorted(f.name for f in tmp_path.rglob("*")) == ["a", "new"]


def test_errors_of_other_languages_and_of_the_cause_are_understood():
    with pytest.raises(OutputError, match="x cannot be written: No space left on device"), explained(Path("x")):
        raise RuntimeError("Error while serializing: I/O error: (os error 28)")
    of_torch = RuntimeError("unexpected pos 640 vs 598")
    of_torch.__context__ = OSError(errno.ENOSPC, "No space")
    with pytest.raises(OutputError, match="x cannot be written: No space left"), explained(Path("x")):
        raise of_torch
    with pytest.raises(RuntimeError, match="another"), explained(Path("x")):
        raise RuntimeError("another")


def test_while_files_are_read_a_missing_one_is_none_of_writing():
    with pytest.raises(FileNotFoundError), explained(Path("x"), also_reads=True):
        raising(errno.ENOENT)()
    with pytest.raises(OutputError, match="x cannot be written: Read-only"), explained(Path("x"), also_reads=True):
        raising(errno.EROFS)()


def test_files_are_written_where_only_writable_files_and_no_folders_can_be_synchronised(tmp_path, monkeypatch):
    """As on Windows."""
    modes = {}
    opened = []

    def fsync(handle):
        assert modes[handle] & os.O_RDWR

    def open_file(path, mode):
        assert not Path(path).is_dir()
        handle = os.open(path, mode)
        modes[handle] = mode
        opened.append(path)
        return handle

    windows = SimpleNamespace(
        name="nt", open=open_file, fsync=fsync, close=os.close, O_RDONLY=os.O_RDONLY, O_RDWR=os.O_RDWR
    )
    monkeypatch.setattr(outputs, "os", windows)
    write_text(tmp_path / "a.txt", "text")
    assert (tmp_path / "a.txt").read_text() == "text"
    assert len(opened) == 1
