from bam_core.data.progress import track


def test_a_bar_on_a_terminal_and_nothing_elsewhere(capsys, monkeypatch):
    assert list(track([1, 2], "Reading")) == [1, 2]
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes the stream for a terminal
    assert list(track([1, 2], "Reading")) == [1, 2]
    out, err = capsys.readouterr()
    assert out == ""
    assert "Reading" in err
