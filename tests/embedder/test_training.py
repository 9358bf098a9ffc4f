"""How long the embedder trains, in which batches, and what it keeps of it."""

import numpy as np
import pandas as pd
import pytest
from rows import TINY, rows_of

from bam_core import BAMEmbedder, InputError, RecipeError
from bam_core.embedder.length import total_steps


def embedder(**options):
    return BAMEmbedder(**{"random_state": 0, **TINY["tabular"], **options})


@pytest.fixture
def table():
    return rows_of("tabular", 40)


@pytest.mark.parametrize(
    ("n_rows", "given", "expected"),
    [
        (40, {}, 100),  # a batch of all rows
        (569, {}, 400),
        (3968, {}, 3000),
        (10_000_000, {}, 3000),
        (100_000, {"epochs": 3}, 2343),
        (40, {"steps": 7}, 7),
    ],
)
def test_steps_of_a_run(n_rows, given, expected):
    assert total_steps(n_rows, 128, **{"epochs": None, "steps": None, **given}) == expected


def test_steps_end_within_a_pass_and_the_rate_has_fallen(table):
    fitted = embedder(steps=23, batch_size=10).fit(table)
    assert fitted.n_steps_ == 23
    rates = fitted.history_["learning_rate"].dropna()
    assert rates.index.tolist() == [9, 19]
    assert rates[9] > rates[19] > 0


def test_the_peak_is_reached_in_a_run_shorter_than_a_pass():
    table = rows_of("tabular", 200)
    rates = embedder(steps=20, batch_size=4, learning_rate=0.01).fit(table).history_["learning_rate"]
    assert 0.005 < rates[9] < 0.01


def test_as_many_steps_as_passes_give_the_same(table):
    by_passes = embedder(epochs=3, batch_size=10).fit_transform(table)
    np.testing.assert_array_equal(embedder(steps=12, batch_size=10).fit_transform(table), by_passes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "expected steps as a whole number, 1 or more; got 0"),
        ({"steps": True}, "expected steps as a whole number, 1 or more; got True"),
        ({"steps": 5, "epochs": 2}, "expected epochs or steps; got both, 2 and 5. Leave out one"),
        ({"groups_per_batch": 2, "steps": 1}, r"groups_per_batch expected groups: pass them as fit\(X, groups=...\)"),
    ],
)
def test_mistakes(options, message, table):
    with pytest.raises(InputError, match=message):
        embedder(**options).fit(table)


def test_history(table, tmp_path):
    fitted = embedder(steps=12).fit(table)
    history = fitted.history_
    assert history["step"].tolist() == list(range(1, 13))
    assert {"loss", "kl", "target_entropy", "attention_entropy", "rankme"} <= set(history)
    assert "samples/s" not in history
    np.testing.assert_allclose(history["loss"], history["kl"] + history["target_entropy"], rtol=1e-4)
    assert history["rankme"].notna().tolist() == [False] * 9 + [True] + [False] * 2
    fitted.save(tmp_path)
    pd.testing.assert_frame_equal(BAMEmbedder.load(tmp_path).history_, history)


def test_batches_of_one_group(table):
    groups = np.repeat(["ann", "ben"], 20)

    def embeddings(**options):
        return embedder(steps=4, batch_size=20, **options)

    with pytest.warns(UserWarning, match="groups have no influence on training unless groups_per_batch"):
        mixed = embeddings().fit(table, groups=groups).transform(table)
    np.testing.assert_array_equal(mixed, embeddings().fit_transform(table))
    apart = embeddings(groups_per_batch=1).fit(table, groups=groups).transform(table)
    assert not np.allclose(apart, mixed)
    with pytest.raises(InputError, match=r"expected groups of shape \(40,\), one for each row of X; got \(39,\)"):
        embeddings(groups_per_batch=1).fit(table, groups=groups[:39])


def test_options_of_a_mapping_are_parameters(table):
    given = embedder()
    assert given.get_params()["encoder__width"] == 8
    assert "encoder__width" not in given.get_params(deep=False)
    given.set_params(encoder__width=16, objective__epsilon=0.02, steps=2)
    assert (given.encoder, given.objective, given.steps) == ({"width": 16, "depth": 1}, {"epsilon": 0.02}, 2)
    assert given.fit_transform(table).shape == (40, 16)
    assert given.set_params(encoder={"depth": 2}, encoder__width=4).encoder == {"depth": 2, "width": 4}
    with pytest.raises(ValueError, match="Invalid parameter 'encodr'"):
        given.set_params(encodr__width=4)
    with pytest.raises(RecipeError, match=r"encoder.widht: no such key; did you mean 'width'"):
        given.set_params(encoder__widht=4).fit(table)
