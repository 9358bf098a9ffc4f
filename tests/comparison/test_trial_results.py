from dataclasses import replace

import numpy as np
import pytest

from bam_core import DataError, InputError
from bam_core.comparison.trial_results import (
    TrialResult,
    differences,
    first_objective,
    join_trials,
    load_trials,
    trials_markdown,
)
from bam_core.probes.embeddings import EmbeddingFigures
from bam_core.probes.result_table import Cost, Result
from bam_core.probes.results import Results

TERMS = {"data": "abc", "train": {"epochs": 3}}


@pytest.fixture
def trial(quick):
    made = []

    def make(label, seed, value, *, terms=TERMS, cost=None, machine=None):
        rows = []
        for fraction, n in ((1.0, 100), (0.1, 3)):
            values = tuple(value + 0.01 * np.arange(n) / n)
            of = "95 % interval, bootstrap" if fraction == 1 else f"standard deviation over {n} draws of labels"
            rows.append(Result(label, "linear", fraction, "accuracy", value, 0.01, of, 50, 0.1, values))
        results = Results(tuple(rows), quick, "labels", figures={label: EmbeddingFigures(8, 4.0, 0.5)})
        if cost is not None:
            results = replace(results, costs={label: Cost(*cost)})
        objective = {} if cost is None else {"name": label}
        made.append(label)
        about = {"machine": machine or {"torch": "2"}, "started": f"2026-01-01T00:00:{len(made):02}Z"}
        return TrialResult(label, seed, terms, objective, results, command="bam x", **about)

    return make


@pytest.fixture
def trials(trial):
    return [
        trial("raw features", None, 0.5),
        *(trial("untrained encoder", seed, 0.55 + 0.01 * seed) for seed in (0, 1)),
        *(trial("bam", seed, 0.7 + 0.02 * seed, cost=(10.0 + seed, 8.0, 100.0)) for seed in (0, 1)),
        *(trial("simclr", seed, 0.6, cost=(20.0, 9.0, 300.0 + 10 * seed)) for seed in (0, 1)),
    ]


def test_files_come_back_in_the_order_of_their_start(trials, tmp_path):
    for one in trials:
        one.save(tmp_path / f"{one.label}-{one.seed}.json")
    loaded = load_trials(tmp_path)
    same = trials[0].results  # whose values are rounded in files
    assert [replace(c, results=same) for c in loaded] == [replace(c, results=same) for c in trials]
    assert join_trials(loaded).to_markdown() == join_trials(trials).to_markdown()


def test_files_that_are_something_else(trials, tmp_path):
    path = tmp_path / "trial.json"
    for text in ("", "[]", "{}", '{"format": 1}'):
        path.write_text(text)
        with pytest.raises(DataError, match="expected a trial that `bam compare` wrote"):
            TrialResult.load(path)
    trials[0].save(path)
    path.write_text(path.read_text().replace('"epochs": 3', '"epochs": 4'))
    with pytest.raises(DataError, match="whose terms fit their hash; got format 1, hash"):
        TrialResult.load(path)


def test_the_table(trials):
    table = join_trials(trials)
    assert table.features == ["raw features", "untrained encoder", "bam", "simclr"]
    assert table.n_runs == 2
    bam = table.row("bam", "linear", 1.0)
    assert bam.mean == pytest.approx(0.71)
    assert bam.spread == pytest.approx(np.std([0.70, 0.72], ddof=1))
    assert table.row("raw features", "linear", 1.0).spread == 0
    assert table.costs == {"bam": Cost(10.5, 8.0, 100.0), "simclr": Cost(20.0, 9.0, 305.0)}
    assert first_objective(trials) == "bam"
    markdown = trials_markdown(table, trials)
    assert "| seconds | memory, MiB |" in markdown
    lines = markdown.splitlines()
    assert next(line for line in lines if line.startswith("| raw features")).endswith("| - | - |")
    assert next(line for line in lines if line.startswith("| simclr")).endswith("| 20 (9 of processor) | 305 |")
    assert "```sh\nbam x\n```" in markdown


def test_one_seed_keeps_the_spread_of_its_draws(trials):
    table = join_trials([c for c in trials if c.seed != 1])
    assert table.n_runs == 1
    assert table.row("bam", "linear", 1.0).bootstrapped


def test_seeds_that_are_not_finished_everywhere_are_left_out_and_named(trials):
    table = join_trials(trials[:-1])
    assert table.n_runs == 1
    assert "Seeds [1] are left out: not every row has finished them." in table.notes
    assert first_objective(trials[:2]) is None
    with pytest.raises(InputError, match=r"expected a seed that every row has; got .*bam: \[1\]; simclr: \[0\]"):
        join_trials([trials[4], trials[5]])
    with pytest.raises(InputError, match="at least one finished trial; got none"):
        join_trials([])


def test_one_table_has_one_set_of_terms(trials, trial):
    other = trial("byol", 0, 0.5, terms={"data": "abc", "train": {"epochs": 5}})
    with pytest.raises(InputError, match=r"made on different terms.*train.epochs \(3, now 5\)"):
        join_trials([*trials, other])


def test_different_machines_are_said(trials, trial):
    other = trial("byol", 0, 0.5, cost=(1.0, 1.0, 1.0), machine={"torch": "3"})
    assert any("not all made on the same torch" in note for note in join_trials([*trials, other]).notes)


def test_differences_are_named():
    old, new = {"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 1, "c": 4}, "e": [5]}
    assert differences(old, new) == ["a.c (2, now 4)", "d (3, now None)", "e (None, now [5])"]
    assert differences(old, old) == []
