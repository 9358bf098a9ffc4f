import os
from pathlib import Path

import pytest

from bam_core.data.folders import find_files, printable


def write(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")


def test_files_in_order_without_what_systems_leave(tmp_path):
    hidden = (".DS_Store", ".git/a", "__MACOSX/b.png", ".Trash-1000/c.png", "dog/.ipynb_checkpoints/1.png", "Thumbs.db")
    write(*(tmp_path / name for name in ("dog/1.png", "cat/2.png", "cat/1.png", "top.png", *hidden)))
    found = find_files(tmp_path)
    assert found.names == ["cat/1.png", "cat/2.png", "dog/1.png", "top.png"]
    assert found.files == [tmp_path / name for name in found.names]
    assert found.passed_over == {}
    assert find_files(tmp_path / "top.png").names == ["top.png"]


def test_links_that_lead_back_do_not_multiply_files(tmp_path):
    root = tmp_path / "data"
    write(root / "b" / "1.png", tmp_path / "elsewhere" / "2.png", tmp_path / "beside.png")
    (root / "a").symlink_to(root / "b")  # before the folder itself, in order
    (root / "b" / "again").symlink_to(root)
    (root / "b" / "up").symlink_to(tmp_path)
    (root / "b" / "same.png").symlink_to(root / "b" / "1.png")
    (root / "c").symlink_to(tmp_path / "elsewhere")
    (root / "d").symlink_to(tmp_path / "elsewhere")
    (root / "gone.png").symlink_to(tmp_path / "nothing.png")
    (root / "e.png").symlink_to(tmp_path / "beside.png")
    found = find_files(root)
    assert found.names == ["b/1.png", "c/2.png", "e.png", "gone.png"]
    assert set(found.passed_over) == {"a", "b/again", "b/up", "b/same.png", "d"}
    assert set(found.passed_over.values()) == {"is a link to what is read already"}


def test_two_folders_that_link_to_each_other_end(tmp_path):
    root, other = tmp_path / "root", tmp_path / "other"
    write(root / "1.png", other / "2.png")
    (root / "other").symlink_to(other)
    (other / "root").symlink_to(root)
    (other / "self").symlink_to(other)
    assert find_files(root).names == ["1.png", "other/2.png"]


def test_links_into_hidden_stores_are_files_of_the_folder(tmp_path):
    write(tmp_path / ".store" / "abc")
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.png").symlink_to(tmp_path / ".store" / "abc")
    assert find_files(tmp_path).names == ["cat/1.png"]


def test_pipes_are_no_files(tmp_path):
    write(tmp_path / "1.wav")
    os.mkfifo(tmp_path / "2.wav")
    assert find_files(tmp_path).names == ["1.wav"]


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    write(tmp_path / "1.png", tmp_path / "closed" / "2.png")
    scan = os.scandir

    def refusing(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)
    found = find_files(tmp_path)
    assert found.names == ["1.png"]
    assert found.passed_over == {"closed": "cannot be read (Permission denied)"}


def test_names_that_are_not_utf_8_can_be_printed(tmp_path):
    name = os.fsdecode(b"caf\xe9.wav")
    try:
        write(tmp_path / name)
    except OSError:
        pytest.skip("this file system has names in UTF-8 only")
    found = find_files(tmp_path)
    assert found.names == [r"caf\udce9.wav"]
    assert found.files == [Path(tmp_path, name)]
    found.names[0].encode()
    assert printable("naïve/1.png") == "naïve/1.png"
