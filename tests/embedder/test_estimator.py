import re
import signal
from dataclasses import replace

import jaxtyping
import numpy as np
import pandas as pd
import pytest
import torch
from rows import TINY, rows_of, take
from sklearn.exceptions import NotFittedError

from bam_core import BAMEmbedder, DataError, InputError, NonFiniteError, PretrainedEncoder, RecipeError
from modalities.tabular import MODALITY


def embedder(modality="tabular", **options):
    tiny = TINY.get(modality, {}) if isinstance(modality, str) else {}
    return BAMEmbedder(modality, **{"epochs": 1, "random_state": 0, **tiny, **options})


@pytest.fixture
def untyped(monkeypatch):
    """As it is outside the tests, where nothing checks the types of arguments."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture(params=list(TINY))
def modality(request):
    return request.param


@pytest.fixture
def table():
    return rows_of("tabular", 40)


# --- every modality


def test_every_modality_fits_embeds_saves_and_leaves_nothing_behind(modality, tmp_path, monkeypatch, capfd, cache):
    monkeypatch.chdir(tmp_path)
    rows, state, handler = rows_of(modality), torch.get_rng_state(), signal.getsignal(signal.SIGINT)
    fitted = embedder(modality).fit(rows)
    embeddings = fitted.transform(rows)
    assert embeddings.dtype == np.float32
    assert embeddings.shape == (12, len(fitted.get_feature_names_out()))
    np.testing.assert_allclose(fitted.transform(take(rows, [5])), embeddings[5:6], atol=1e-5)
    assert capfd.readouterr() == ("", "")
    assert torch.equal(torch.get_rng_state(), state)
    assert signal.getsignal(signal.SIGINT) is handler
    assert not cache.exists()
    assert list(tmp_path.iterdir()) == []

    fitted.save(tmp_path / "saved")
    loaded = BAMEmbedder.load(tmp_path / "saved")
    np.testing.assert_array_equal(loaded.transform(rows), embeddings)
    np.testing.assert_array_equal(loaded.get_feature_names_out(), fitted.get_feature_names_out())
    assert loaded.get_params() == {**fitted.get_params(), "random_state": None}
    assert PretrainedEncoder.from_pretrained(tmp_path / "saved").facts == fitted.facts_


def test_training_changes_the_encoder_and_the_seed_decides(table):
    first, again, other = (embedder(random_state=seed).fit_transform(table) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    assert not np.allclose(first, embedder(random_state=1, epochs=3).fit_transform(table), atol=1e-3)
    state = np.random.RandomState(0)
    drawn = [embedder(random_state=state).fit_transform(table) for _ in range(2)]
    assert not np.allclose(*drawn)
    np.testing.assert_array_equal(drawn[0], embedder(random_state=np.random.RandomState(0)).fit_transform(table))


def test_what_is_left_over_waits_for_the_next_pass(table):
    assert embedder(batch_size=25, epochs=2).fit(table).n_steps_ == 2
    assert embedder(batch_size=20, epochs=2).fit(table).n_steps_ == 4
    assert embedder(batch_size=100, epochs=2).fit(table).n_steps_ == 2


def test_the_parts_of_a_row_are_averaged():
    series = [np.random.default_rng(0).normal(size=n) for n in (64, 32, 40)]
    fitted = embedder("timeseries", data={"window": 32, "normalize": "none"}).fit(series)
    embeddings = fitted.transform(series)
    halves = fitted.transform([series[0][:32], series[0][32:]])
    np.testing.assert_allclose(embeddings[0], halves.mean(axis=0), atol=1e-5)
    assert embeddings.shape == (3, 8)


# --- tables


def test_tables_with_text_dates_and_gaps(table):
    constant = table.assign(unit="cm", note=[f"note {i}" for i in range(40)])
    with pytest.warns(
        UserWarning,
        match=r"read X in this way. Data: 40 rows .*\n.*\n    column 'unit': constant.*\n    column 'note': an id",
    ):
        fitted = embedder().fit(constant)
    assert list(fitted.set_aside_) == ["column 'unit'", "column 'note'"]
    new = constant.iloc[:3].assign(label=["blue", None, "red"], unit="m")
    with pytest.warns(UserWarning, match="column 'label': categories not seen in training, such as 'blue': 1"):
        assert np.isfinite(fitted.transform(new)).all()
    assert fitted.feature_names_in_.tolist() == list(constant)
    np.testing.assert_array_equal(fitted.transform(constant[list(constant)[::-1]]), fitted.transform(constant))
    with pytest.raises(ValueError, match="Feature names unseen at fit time"):
        fitted.transform(constant.rename(columns={"size": "length"}))


def test_arrays_and_frames_are_the_same_table():
    X = np.random.default_rng(0).normal(size=(30, 3))
    fitted = embedder().fit(X)
    expected = fitted.transform(X)
    np.testing.assert_array_equal(fitted.transform(X.tolist()), expected)
    np.testing.assert_array_equal(fitted.transform(pd.DataFrame(X, columns=[5, 6, 7])), expected)
    of_frame = embedder().fit(pd.DataFrame(X, columns=list("abc")))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        np.testing.assert_array_equal(of_frame.transform(X), expected)


def test_what_was_read_and_how_long_it_takes_is_told_to_those_who_ask(table, capfd):
    fitted = embedder(verbose=1, epochs=None, steps=20, batch_size=20).fit(table)
    assert re.fullmatch(
        r"Data: 40 rows \(train 40\)\.\n"
        r"Training: 20 steps of 20 rows, 10 pass\(es\) over 40 rows; about \d+ s\.\n"
        r"(  step \d+ of 20: loss [\d.]+, kl [\d.]+, [\d,]+ samples/s, \d+ s left\n){10}",
        capfd.readouterr().out,
    )
    silent = embedder(epochs=None, steps=20, batch_size=20).fit(table)
    np.testing.assert_array_equal(fitted.transform(table), silent.transform(table))  # the trial step left no trace
    capfd.readouterr()
    fitted.transform(table.assign(label=["violet", *table["label"][1:]]))
    assert "Mended: column 'label': categories not seen in training, such as 'violet': 1" in capfd.readouterr().out
    assert fitted.repairs_ == {}


# --- rows that cannot be used


def test_rows_that_cannot_be_used():
    rows = [*rows_of("timeseries"), np.ones((2, 30)), np.full((2, 9), np.nan)]
    with pytest.warns(UserWarning, match=r"\n    12: constant on every channel\n    13: all values are missing"):
        fitted = embedder("timeseries").fit(rows)
    assert fitted.set_aside_ == {"12": "constant on every channel", "13": "all values are missing"}
    with (
        pytest.warns(UserWarning, match="12: constant"),
        pytest.raises(DataError, match=r"(?s)2 of 14 rows cannot be embedded:\n  12: .*Leave these rows out"),
    ):
        fitted.transform(rows)
    with pytest.raises(DataError, match=r"found no usable row .*\n  0: constant"):
        fitted.transform(rows[12:13])
    with pytest.raises(DataError, match="expected 2 channels, as the encoder was trained on; got 1"):
        fitted.transform([np.arange(20.0)])


@pytest.mark.parametrize("rows", [1, 0])
def test_one_row_is_not_enough(rows, modality):
    with pytest.raises(ValueError, match=r"got [01] sample\(s\)|0 sample"):
        embedder(modality).fit(take(rows_of(modality), list(range(rows))))


# --- mistakes


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"epochs": 0, "data": {"normalise": 1}}, RecipeError, r"(?s)2 mistake.*data.normalise: no such key.*epochs"),
        ({"encoder": {"name": "mpl"}}, RecipeError, "encoder.name 'mpl' does not exist; did you mean 'mlp'?"),
        ({"views": {"noise": -1}}, InputError, "TabularViews expected noise >= 0"),
        ({"objective": {"epsilonn": 1}}, RecipeError, "objective.epsilonn: no such key; did you mean 'epsilon'?"),
        ({"batch_size": 1}, RecipeError, "batch_size: input should be greater than or equal to 2"),
        ({"modality": "tables"}, RecipeError, "modality 'tables' is not installed"),
        ({"modality": 3}, InputError, "expected a modality's name, such as 'tabular', or a Modality; got 3"),
        ({"modality": replace(MODALITY, from_memory=None)}, InputError, "it has no from_memory"),
        ({"modality": "ecg"}, InputError, r"rows for 'ecg' need sampling_rate_hz: pass data={'sampling_rate_hz': ...}"),
    ],
)
def test_mistakes(options, error, message, table, untyped):
    with pytest.raises(error, match=message):
        BAMEmbedder(**{"epochs": 1, **options}).fit(table)


def test_before_fitting(table, tmp_path):
    with pytest.raises(NotFittedError):
        embedder().transform(table)
    with pytest.raises(NotFittedError):
        embedder().save(tmp_path)


def test_a_failure_of_training_leaves_nothing_behind(table, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(NonFiniteError, match=r"step \d+ is not finite: NaN or infinity begins in [^B]*$"):
        embedder(learning_rate=1e30, epochs=30).fit(table)
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(signal.SIGINT) is handler


def test_ctrl_c_ends_after_the_step(table, capfd):
    calls, handler = [], signal.getsignal(signal.SIGINT)

    def collate(columns, facts):
        calls.append(1)
        if len(calls) == 3:  # the first makes the parameters
            signal.raise_signal(signal.SIGINT)
        return MODALITY.collate(columns, facts)

    with pytest.raises(KeyboardInterrupt):
        embedder(replace(MODALITY, collate=collate), encoder={"width": 8}, epochs=50).fit(table)
    assert len(calls) < 6
    assert "Stopping after this step." in capfd.readouterr().out
    assert signal.getsignal(signal.SIGINT) is handler


# --- saving


def test_a_modality_in_a_file_is_run_only_if_trusted(table, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "from dataclasses import replace\nfrom modalities.tabular import MODALITY\nMINE = replace(MODALITY, name='m')"
    )
    fitted = embedder("mine.py:MINE", encoder={"width": np.int64(8)}).fit(table)
    expected = fitted.transform(table)
    fitted.save("saved")
    with pytest.raises(RecipeError, match="trusted=True"):
        BAMEmbedder.load("saved")
    monkeypatch.chdir("/")
    loaded = BAMEmbedder.load(tmp_path / "saved", trusted=True)
    np.testing.assert_array_equal(loaded.transform(table), expected)


def test_a_modality_as_an_object(table, tmp_path):
    fitted = embedder(MODALITY, encoder={"width": 8}).fit(table)
    fitted.save(tmp_path / "saved")
    assert BAMEmbedder.load(tmp_path / "saved").modality == "tabular"
    unknown = embedder(replace(MODALITY, name="mine"), encoder={"width": 8}).fit(table)
    with pytest.raises(RecipeError, match="modality 'mine' is not installed"):
        unknown.save(tmp_path / "unknown")


def test_folders_that_hold_no_embedder(table, tmp_path):
    with pytest.raises(DataError, match=r"expected a folder that BAMEmbedder.save wrote; .* has no config\.json"):
        BAMEmbedder.load(tmp_path / "nothing")
    fitted = embedder().fit(table)
    fitted.save(tmp_path / "saved")
    saved = PretrainedEncoder.from_pretrained(tmp_path / "saved")
    other = PretrainedEncoder(modality="tabular", encoder=fitted._encoder_config, facts=saved.facts)
    other.save_pretrained(tmp_path / "other")
    with pytest.raises(DataError, match=r"holds an encoder that BAMEmbedder.save did not write"):
        BAMEmbedder.load(tmp_path / "other")


# --- long frames


def test_a_long_frame_gives_a_vector_a_series(tmp_path):
    series = np.random.default_rng(0).normal(size=(6, 2, 30))
    frame = pd.DataFrame(series.transpose(0, 2, 1).reshape(-1, 2), columns=["x", "y"])
    frame = frame.assign(patient=np.repeat(list("cabfde"), 30), t=np.tile(np.arange(30), 6))
    options = {"data": {"id": "patient", "time": "t"}}
    fitted = embedder("timeseries", **options).fit(frame)
    expected = embedder("timeseries").fit(series).transform(series)
    np.testing.assert_allclose(fitted.transform(frame), expected, atol=1e-6)
    fitted.save(tmp_path)
    again = BAMEmbedder.load(tmp_path).transform(frame.sample(frac=1, random_state=1).sort_values("patient"))
    np.testing.assert_allclose(again, expected[[1, 2, 0, 4, 5, 3]], atol=1e-6)
    as_frame = fitted.set_output(transform="pandas").transform(frame)
    assert as_frame.index.tolist() == list("cabfde")
    assert as_frame.columns[0] == "bamembedder0"
    np.testing.assert_allclose(as_frame, expected, atol=1e-6)
    broken = frame.assign(
        x=frame["x"].where(frame["patient"] != "b", 1.0), y=frame["y"].where(frame["patient"] != "b", 1.0)
    )
    with (
        pytest.warns(UserWarning, match="b: constant on every channel"),
        pytest.raises(DataError, match=r"(?s)1 of 6 rows cannot be embedded:\n  b: constant"),
    ):
        fitted.transform(broken)


def test_what_was_guessed_is_told_once():
    x = np.random.default_rng(0).normal(size=(200, 2))
    index = pd.MultiIndex.from_product([list("abcd"), range(50)], names=["instances", "timepoints"])
    frame = pd.DataFrame(x, index=index)
    with pytest.warns(UserWarning, match="Column 'instances' is taken as the id"):
        fitted = embedder("timeseries").fit(frame)
    assert fitted.transform(frame).shape == (4, 8)  # a second warning would be an error
    assert "The index is taken as instances and timepoints." in fitted.notes_
    with (
        pytest.warns(UserWarning, match="is taken as the id"),
        pytest.raises(InputError, match=r"groups of shape \(4,\), one for each series of X; got \(200,\)"),
    ):
        embedder("timeseries", groups_per_batch=2).fit(frame, groups=np.arange(200) // 50)
