"""Shapes and types of every public function are checked while the tests run."""

from jaxtyping import install_import_hook

install_import_hook("bam_core", "beartype.beartype")

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402


@pytest.fixture(autouse=True)
def _quiet_place(tmp_path_factory, monkeypatch):
    """Caches and trust go to a temporary folder, and no test sees another's random state."""
    monkeypatch.setenv("BAM_CACHE", str(tmp_path_factory.getbasetemp() / "bam-cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / "state"))
    torch.manual_seed(0)


def blobs(n, n_classes, *, d=8, gap=2.0, seed=0):
    """Gaussian classes of unequal size: features (n, d) and labels (n,), every class at least once."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(n_classes, d)) * gap
    weights = 1.0 / np.arange(1, n_classes + 1)
    labels = np.concatenate([np.arange(n_classes), rng.choice(n_classes, n - n_classes, p=weights / weights.sum())])
    labels = rng.permutation(labels)
    return (centres[labels] + rng.normal(size=(n, d))).astype(np.float32), labels


@pytest.fixture(scope="session")
def make_blobs():
    return blobs


@pytest.fixture(scope="session")
def task():
    """Two sets of features of one labelled problem, with groups: signal, and nothing but noise."""
    from bam_core.probes.inputs import Features, SplitLabels

    x, y = blobs(600, 3)
    rng = np.random.default_rng(1)
    noise = rng.normal(size=x.shape).astype(np.float32)
    groups = np.array([f"person {i % 20}" for i in range(300)])
    labels = SplitLabels(
        train=y[:300],
        test=y[300:],
        classes=["a", "b", "c"],
        train_groups=groups,
        test_groups=np.char.add("other ", groups),
    )
    features = {"noise": Features(noise[:300], noise[300:]), "signal": Features(x[:300], x[300:])}
    return features, labels


@pytest.fixture(scope="session")
def quick():
    from bam_core.probes.protocol import EvaluationProtocol

    return EvaluationProtocol(fractions=(1.0, 0.1), draws=3, c_grid=(0.01, 1.0), bootstrap=100)


@pytest.fixture(scope="session")
def results(task, quick):
    from bam_core.probes.evaluate import evaluate

    return evaluate(*task, quick, data_fingerprint="abc")


@pytest.fixture
def smoke():
    """The smoke recipe of ECG with overrides."""
    from bam_core.config.recipe import load_recipe
    from bam_core.config.shipped_recipes import find_recipe

    return lambda *overrides: load_recipe(find_recipe("smoke/ecg"), overrides)


@pytest.fixture
def quick_pictures(monkeypatch):
    """Pictures of reports are drawn but not rendered, where a test is about other things; tests/reports and tests/cli
    render them."""
    from matplotlib.figure import Figure

    contents = {"svg": b'<svg xmlns="http://www.w3.org/2000/svg"/>', "png": b"\x89PNG"}
    monkeypatch.setattr(Figure, "savefig", lambda self, file, *, format, **options: file.write(contents[format]))
