import io
import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from bam_core import DataError, InputError
from bam_core.probes.embeddings import EmbeddingFigures
from bam_core.probes.evaluate import evaluate
from bam_core.probes.result_table import Result
from bam_core.probes.results import Results
from bam_core.probes.seeds import aggregate
from bam_core.probes.verdict import compare


def row(features, values, *, mean=None, fraction=0.1, probe="linear", boot=False, metric="macro_f1"):
    spread_of = "95 % interval, bootstrap" if boot else f"standard deviation over {len(values)} draws of labels"
    mean = float(np.mean(values)) if mean is None else mean
    return Result(features, probe, fraction, metric, mean, float(np.std(values)), spread_of, 50, 0.1, tuple(values))


@pytest.fixture
def table(quick):
    """Ours wins clearly at 10 %, is undecided at 1 %, and loses at 100 %."""
    steps = np.array([-0.01, 0.0, 0.01])
    wave = np.linspace(-0.05, 0.05, 101)
    rows = [
        row("raw", 0.5 + steps),
        row("ours", 0.6 + steps * 1.5),
        row("raw", 0.4 + steps * 4, fraction=0.01),
        row("ours", 0.42 - steps * 4, fraction=0.01),
        row("raw", 0.8 + wave, fraction=1.0, boot=True, mean=0.8),
        row("ours", 0.77 + wave * 1.2, fraction=1.0, boot=True, mean=0.77),
    ]
    order = sorted(rows, key=lambda r: r.features == "ours")
    return Results(
        tuple(order),
        quick,
        "labels",
        figures={"raw": EmbeddingFigures(8, 5.0, 0.9), "ours": EmbeddingFigures(4, 2.5, 0.5)},
    )


def test_json_round_trip(results, tmp_path):
    results.save(tmp_path / "results.json")
    loaded = Results.load(tmp_path / "results.json")
    for name in ("protocol", "labels_hash", "data_fingerprint", "classes", "figures", "notes", "n_runs"):
        assert getattr(loaded, name) == getattr(results, name), name
    for a, b in zip(loaded.rows, results.rows, strict=True):
        assert replace(a, values=()) == replace(b, values=())
        np.testing.assert_allclose(a.values, b.values, atol=1e-5)
    assert loaded.to_markdown() == results.to_markdown()
    content = json.loads((tmp_path / "results.json").read_text())
    assert content["protocol_hash"] == results.protocol.hash()
    assert content["protocol"]["k"] == 20
    assert content["data_fingerprint"] == "abc"


def test_a_file_that_was_changed_is_refused(results, tmp_path):
    path = tmp_path / "results.json"
    results.save(path)
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "protocol": {**content["protocol"], "k": 3}}))
    with pytest.raises(DataError, match=f"expected a protocol of hash {results.protocol.hash()}; got"):
        Results.load(path)
    path.write_text(json.dumps({**content, "format": 0}))
    with pytest.raises(DataError, match="expected results of format 1; got 0"):
        Results.load(path)
    for wrong in ("not json", "[]", "{}"):
        path.write_text(wrong)
        with pytest.raises(DataError, match=r"expected results that `Results.save` wrote"):
            Results.load(path)
    with pytest.raises(DataError, match="FileNotFoundError"):
        Results.load(tmp_path / "none.json")


def test_comparisons_are_paired(table):
    at = {c.ours.fraction: c for c in table.compare("ours", "raw")}
    assert at[0.1].difference == pytest.approx(0.1)
    assert at[0.1].spread == pytest.approx(0.005)  # not the spread of either row
    assert at[0.1].beats
    assert at[0.01].spread == pytest.approx(0.08)
    assert not at[0.01].beats
    assert not at[0.01].loses
    assert at[1.0].difference == pytest.approx(-0.03)
    assert at[1.0].spread == pytest.approx(0.0095)  # half of the 95 % interval of 0.2 * wave
    assert at[1.0].loses


def test_the_verdict_claims_no_more_than_the_table_holds(table):
    assert table.verdict() == (
        "Macro-F1 of the linear probe with 1 % of the labels (50): ours 0.420, raw 0.400.\n"
        "ours beats raw by more than the spread in 1 of 3 columns. It is worse by more than the spread in 1 (linear "
        "probe, 100 %: -0.030 ± 0.009). No difference can be claimed in 1 (linear probe, 1 %: +0.020 ± 0.080)."
    )
    one = replace(table, rows=tuple(r for r in table.rows if r.fraction == 0.1))
    assert one.verdict().splitlines()[1] == "ours beats raw by more than the spread."
    assert one.verdict("raw").splitlines()[1].startswith("raw does not beat ours by more than the spread. It is worse")
    collapsed = replace(table, figures={**table.figures, "ours": EmbeddingFigures(4, 1.0, 0.001)})
    assert "The vectors of ours nearly all point in one direction (embedding spread below 0.02)." in collapsed.verdict()


def test_the_headline_names_the_untrained_encoder_and_the_best_of_the_others(table):
    assert table.headline() == (
        "With 50 labels, the macro-F1 of the linear probe is 0.420 for ours: no clear difference to raw (0.400)."
    )
    untrained = tuple(replace(r, features="untrained encoder") for r in table.rows if r.features == "raw")
    best = tuple(
        replace(r, features="best", mean=r.mean + 0.3, values=tuple(v + 0.3 for v in r.values))
        for r in table.rows
        if r.features == "raw"
    )
    assert (
        replace(table, rows=untrained + best + table.rows)
        .headline("ours")
        .endswith(
            ": no clear difference to untrained encoder (0.400); worse than best (0.700), the best of the others."
        )
    )


def test_all_columns_won(results):
    lines = results.verdict("signal").splitlines()
    assert lines[1] == "signal beats noise by more than the spread in all 4 columns."


def test_markdown(table):
    lines = table.to_markdown().splitlines()
    assert lines[0] == (
        "| macro-F1 | linear probe, 10 % (n = 50) | linear probe, 1 % (n = 50) | linear probe, 100 % (n = 50) | "
        "RankMe / width | embedding spread |"
    )
    assert lines[2].startswith("| raw | 0.500 ± 0.008 | 0.400 ± 0.033 | **0.800** [0.752, 0.848] | 5.0 / 8 | 0.900 |")
    assert lines[3].startswith("| ours | **0.600** ± 0.012 | **0.420** ± 0.033 | 0.770 [")
    assert "Spread at 10 % and 1 %: standard deviation over 3 draws of labels." in lines[-2]
    assert lines[-1] == f"Protocol {table.protocol.hash()}, labels labels."


def test_console_table_fits_eighty_characters(results):
    console = Console(file=io.StringIO(), width=80, force_terminal=False)
    console.print(results.to_console("accuracy"))
    text = console.file.getvalue()
    assert "…" not in text
    assert f"{results.row('signal', 'linear', 0.1, 'accuracy').mean:.3f}" in text
    assert results.protocol.hash() in text


def test_restricted_keeps_the_order_asked_for(results):
    assert results.restricted(["signal", "noise"]).features == ["signal", "noise"]
    assert list(results.restricted(["signal"]).figures) == ["signal"]


def test_missing_rows_and_metrics(results, table):
    with pytest.raises(InputError, match=r"no result for \('none', 'knn', 1.0, 'macro_f1'\); features are"):
        results.row("none", "knn", 1.0)
    with pytest.raises(InputError, match="no metric 'f2' in these results; there are macro_f1,"):
        results.to_markdown("f2")
    with pytest.raises(InputError, match="two rows of the same column and metric"):
        compare(table.rows[0], table.rows[1])


def test_aggregate_is_mean_and_deviation_over_runs(task, quick, results):
    features, labels = task
    rng = np.random.default_rng(5)
    jitter = {n: f._replace(test=f.test + rng.normal(size=f.test.shape)) for n, f in features.items()}
    other = evaluate(jitter, labels, quick)
    both = aggregate([results, other])
    assert both.n_runs == 2
    key = ("signal", "linear", 1.0)
    means = [results.row(*key).mean, other.row(*key).mean]
    assert both.row(*key).mean == pytest.approx(np.mean(means))
    assert both.row(*key).spread == pytest.approx(np.std(means, ddof=1))
    assert both.row(*key).spread_of == "standard deviation over 2 runs"
    few = both.row("signal", "linear", 0.1)
    assert few.values == results.row("signal", "linear", 0.1).values + other.row("signal", "linear", 0.1).values
    assert few.spread_of == "standard deviation over 2 runs x 3 draws of labels"
    assert both.figures["signal"].rankme == pytest.approx(
        (results.figures["signal"].rankme + other.figures["signal"].rankme) / 2
    )
    assert "2 runs." in both.to_markdown()
    assert both.compare("signal", "noise")[0].beats


def test_runs_that_may_not_be_compared_are_refused(results):
    with pytest.raises(InputError, match="at least two runs; got 1"):
        aggregate([results])
    other = replace(results, protocol=results.protocol.model_copy(update={"k": 3}))
    with pytest.raises(InputError, match=f"the same protocol; got .*{results.protocol.hash()}"):
        aggregate([results, other])
    with pytest.raises(InputError, match="the same labels_hash"):
        aggregate([results, replace(results, labels_hash="other")])
    with pytest.raises(InputError, match="the same features"):
        aggregate([results, results.restricted(["signal"])])
