import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from bam_core import DataError, RecipeError
from bam_core.cli import main
from bam_core.comparison import compare as module
from bam_core.comparison.compare import compare, objective_section, plan
from bam_core.comparison.trial import Trial, run_trial
from bam_core.comparison.trial_results import load_trials
from bam_core.config.build import read_data
from bam_core.config.recipe import load_recipe
from bam_core.config.shipped_recipes import find_recipe
from bam_core.runs.lock import only_here

RECIPE = find_recipe("smoke/image")
QUICKEST = find_recipe("smoke/tabular")
QUICK = ["train.epochs=1", "evaluate.bootstrap=100", "evaluate.fractions=[1.0]", "train.accelerator=cpu"]
TRIALS = [
    "raw_features",
    *(f"{name}-seed{seed}" for seed in (0, 1) for name in ("untrained_encoder", "bam", "simclr_temperature=0.2")),
]


def silent(line):
    pass


@pytest.mark.parametrize(
    ("label", "section"),
    [
        ("bam", {"name": "bam", "epsilon": 0.04, "projector_out": 64}),
        ("bam:epsilon=0.05:top_k=8", {"name": "bam", "epsilon": 0.05, "top_k": 8, "projector_out": 64}),
        ("vicreg", {"name": "vicreg", "projector_out": 64}),
        ("bam_core/objectives/bam.py:make_bam:top_k=null", {"top_k": None, "projector_out": 64}),
    ],
)
def test_objectives_share_the_shape_of_the_projector_only(label, section):
    found = objective_section(label, load_recipe(RECIPE, ["objective.projector_out=64", "objective.epsilon=0.04"]))
    assert found == {"name": "bam_core/objectives/bam.py:make_bam", **section}


def test_the_plan_goes_seed_by_seed_on_equal_terms():
    recipe = load_recipe(RECIPE, [*QUICK, "train.seed=5"])
    trials = plan(recipe, ["bam", "simclr", "bam"], 2, read_data(recipe))
    assert [(c.label, c.seed) for c in trials] == [
        ("raw features", None),
        *((label, seed) for seed in (5, 6) for label in ("untrained encoder", "bam", "simclr")),
    ]
    assert [c.recipe.train.seed for c in trials] == [5, 5, 5, 5, 6, 6, 6]
    assert len({json.dumps(c.controls) for c in trials}) == 1
    assert trials[2].objective["epsilon"] is None
    assert trials[3].objective == {
        "name": "simclr", "temperature": 0.1, "projector_hidden": 512, "projector_out": 256, "projector_layers": 3
    }  # fmt: skip
    assert "batch_size" in trials[0].controls["train"]
    assert not {"seed", "accelerator"} & set(trials[0].controls["train"])
    assert trials[0].controls["views"]["name"] == "image"
    assert len(trials[0].controls["views"]) > 3  # defaults too


@pytest.mark.parametrize(
    ("objectives", "overrides", "message"),
    [
        (["bam", "simclrr"], [], "objective 'simclrr' is not installed; did you mean 'simclr'"),
        (["bam", "simclr:temprature=1"], [], r"objective 'simclr:temprature=1' has 1 mistake[\s\S]*'temperature'"),
        (["simclr:temperature=["], [], "the value of 'temperature' is not valid YAML"),
        ([], [], r"expected objectives and at least one seed; got \[\]"),
        (["bam"], ["train.devices=2"], "expected trials on one device"),
    ],
)
def test_mistakes_come_before_anything_runs(tmp_path, objectives, overrides, message):
    with pytest.raises(RecipeError, match=message):
        compare(RECIPE, objectives, tmp_path / "compare", overrides=[*QUICK, *overrides])
    assert not (tmp_path / "compare").exists()


def test_data_without_labels_cannot_be_compared(tmp_path, monkeypatch):
    monkeypatch.setattr("bam_core.data.PreparedData.labels", lambda self, split: None)
    with pytest.raises(DataError, match="expected labels for train and for a test split"):
        compare(RECIPE, ["bam"], tmp_path / "compare", overrides=QUICK)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """Two objectives with two seeds, stopped in the fifth trial and taken up again, with what was said."""
    folder = tmp_path_factory.mktemp("compare") / "run"
    words = [
        "compare",
        str(QUICKEST),
        "--objectives",
        "bam,simclr:temperature=0.2",
        "--seeds",
        "2",
        "--run",
        str(folder),
    ]
    started = []

    def start(trial, folder):
        """One trained trial in a process of its own, the others in this one."""
        if trial.name == "bam-seed0":
            return in_process_of_its_own(trial, folder)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = run_trial(Trial.from_json(trial.to_json()), folder / "runs" / trial.name)
        result.save(folder / "results" / f"{trial.name}.json")
        return True

    in_process_of_its_own = module.start_trial

    def interrupted(trial, folder):
        if len(started) == 4:
            raise KeyboardInterrupt
        started.append(trial.name)
        return start(trial, folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BAM_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(module, "start_trial", interrupted)
        assert main([*words, *QUICK]) == 130
        before = {path.name: path.stat().st_mtime_ns for path in (folder / "results").iterdir()}
        patch.setattr(module, "start_trial", lambda *args: started.append(args[0].name) or start(*args))
        assert main([*words, *QUICK]) == 0
        after = {path.name: path.stat().st_mtime_ns for path in (folder / "results").iterdir()}
        yield folder, words, started, before, after


@pytest.mark.slow
def test_a_comparison_goes_on_where_it_was_stopped(stopped):
    _, _, started, before, after = stopped
    assert started == TRIALS
    assert sorted(before) == sorted(f"{name}.json" for name in TRIALS[:4])
    assert sorted(after) == sorted(f"{name}.json" for name in TRIALS)
    assert all(after[name] == when for name, when in before.items())


@pytest.mark.slow
def test_files_hold_what_a_table_needs_and_are_small(stopped, tmp_path, capsys):
    folder = stopped[0]
    for path in (folder / "results").iterdir():
        assert path.stat().st_size < 50_000
        (tmp_path / path.name).write_bytes(path.read_bytes())
    by_label = {(trial.label, trial.seed): trial for trial in load_trials(tmp_path)}
    trained = by_label["simclr:temperature=0.2", 1]
    assert trained.objective["temperature"] == 0.2
    assert trained.steps == 2
    assert set(by_label["bam", 0].metrics) == {"loss", "kl", "target_entropy", "attention_entropy"}
    seconds, processor_seconds, memory = trained.results.costs["simclr:temperature=0.2"]
    assert processor_seconds > 0
    assert seconds > 0
    assert 0 <= memory < trained.peak_mebibytes < 20_000  # 0 in a process that was larger before
    assert trained.command.split()[0] == "bam"
    assert by_label["untrained encoder", 0].results.costs == {}

    assert main(["compare", "--show", str(tmp_path)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "bam beats" in out or "bam does not beat" in out
    assert "standard deviation over 2 runs" in out
    assert main(["compare", "--show", str(tmp_path), "--markdown"]) == 0
    assert capsys.readouterr().out == (folder / "table.md").read_text()


@pytest.mark.slow
def test_tables_and_report(stopped):
    folder = stopped[0]
    rows = [line.split("|")[1].strip() for line in (folder / "table.md").read_text().splitlines() if line[:1] == "|"]
    assert rows[2:6] == ["raw features", "untrained encoder", "bam", "simclr:temperature=0.2"]
    html = (folder / "report.html").read_text()
    for part in ("memory, MiB", "simclr:temperature=0.2", "terms:"):
        assert part in html


@pytest.mark.slow
def test_finished_trials_are_not_run_again_and_other_terms_refused(stopped, capsys, monkeypatch):
    folder, words, *_ = stopped
    monkeypatch.setattr(module, "start_trial", lambda *args: pytest.fail("a finished trial was started"))
    assert main([*words, *QUICK]) == 0
    assert main([*words, *QUICK, "train.num_workers=1"]) == 0
    assert capsys.readouterr().out.count("Data: ") == 2  # what was read is said, as by bam pretrain
    assert main([*words, *QUICK, "train.epochs=2", "evaluate.k=5", "views.corrupt=0.3"]) == 1
    error = capsys.readouterr().err
    assert "holds a comparison on other terms; changed: views.corrupt (0.1, now 0.3)" in error
    assert "train.epochs (1, now 2)" in error
    assert "evaluate.k (20, now 5)" in error
    with only_here(folder):
        assert main([*words, *QUICK]) == 1
    assert "another process is at work in the run folder" in capsys.readouterr().err
    assert main([*words, *QUICK, "objective.epsilon=0.05"]) == 1
    assert "holds 'bam' with other options: epsilon (None, now 0.05)" in capsys.readouterr().err


@pytest.mark.slow
def test_a_trial_that_fails_does_not_stop_the_others(stopped, capsys, monkeypatch):
    folder, words, *_ = stopped
    words = ["bam,byol,vicreg" if "," in word else word for word in words]
    tried = []
    monkeypatch.setattr(module, "start_trial", lambda trial, folder: tried.append(trial.name))
    assert main([*words, *QUICK]) == 1
    assert tried == ["byol-seed0", "vicreg-seed0", "byol-seed1", "vicreg-seed1"]
    assert "4 of 9 trials failed, see their messages above: byol, seed 0; vicreg, seed 0" in capsys.readouterr().err
    assert "simclr" in (folder / "table.md").read_text()


def test_the_process_of_a_trial_explains_its_failure(tmp_path):
    recipe = load_recipe(RECIPE, QUICK)
    trial = plan(recipe, ["dino:n_prototypes=0"], 1, read_data(recipe))[-1]
    words = [sys.executable, "-m", "bam_core.comparison.trial", str(tmp_path / "run"), str(tmp_path / "trial.json")]
    done = subprocess.run(words, input=trial.to_json(), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("bam compare: dino expected n_prototypes > 0; got 0.")
    assert not Path(tmp_path / "trial.json").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "expected one RECIPE to run, or --show FOLDER; got neither"),
        (["smoke/image"], "expected --objectives, such as"),
        (["smoke/image", "--show", "x"], "expected one RECIPE to run, or --show FOLDER; got smoke/image"),
        (["--show", "nowhere"], "expected at least one finished trial; got none"),
    ],
)
def test_wrong_words(words, message, capsys):
    assert main(["compare", *words]) == 1
    assert message in capsys.readouterr().err
