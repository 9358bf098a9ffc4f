import numpy as np
import pytest
import torch

from bam_core.config.registry import complete
from bam_core.data import SplitDataset
from bam_core.errors import InputError
from modalities.tabular import MODALITY
from modalities.tabular.batches import collate_rows
from modalities.tabular.columns import MISSING, UNKNOWN
from modalities.tabular.example import synthetic_table
from modalities.tabular.views import TabularViews

OFF = {"corrupt": None, "mask_groups": None, "subset": None, "noise": None}
N = 4000


@pytest.fixture
def facts():
    """Two numbers, of which the second is often missing, and two categories; features 0 and 2 are one group."""
    return {
        "cardinalities": [4, 5],
        "quantiles": [np.linspace(10, 11, 101).tolist(), np.linspace(-21, -20, 101).tolist()],
        "missing_rates": [0.0, 0.4],
        "frequencies": [[0, 0, 0.25, 0.75], [0, 0.5, 0, 0.1, 0.4]],
        "feature_groups": [[0, 2], [1], [3]],
    }


@pytest.fixture
def batch():
    """Numbers near zero and categories that are never drawn."""
    generator = torch.Generator().manual_seed(0)
    return {
        "numeric": torch.rand(N, 2, generator=generator),
        "missing": torch.zeros(N, 2, dtype=torch.bool),
        "categorical": torch.tensor([[2, 2]]).repeat(N, 1),
    }


def view_of(batch, facts, seed=0, **options):
    views = TabularViews(**facts, **{**OFF, **options})
    return views(batch, generator=torch.Generator().manual_seed(seed)).global_views[0]


def test_everything_off_changes_nothing(batch, facts):
    view = view_of(batch, facts)
    assert all(torch.equal(view[name], batch[name]) for name in batch)


def test_corruption_draws_from_the_training_rows(batch, facts):
    view = view_of(batch, facts, corrupt=0.3)
    changed = torch.cat([view["numeric"] != batch["numeric"], view["missing"]], dim=1)
    first = changed[:, 0].float().mean()
    assert first == pytest.approx(0.3, abs=0.03)
    drawn = view["numeric"][:, 0][changed[:, 0]]
    assert drawn.min() >= 10
    assert drawn.mean() == pytest.approx(10.5, abs=0.03)
    assert torch.isin(drawn, torch.tensor(facts["quantiles"][0])).all()
    assert view["missing"].float().mean(dim=0).tolist() == pytest.approx([0, 0.3 * 0.4], abs=0.02)
    assert (view["numeric"][view["missing"]] == 0).all()
    shares = torch.bincount(view["categorical"][:, 0], minlength=4) / N
    assert shares.tolist() == pytest.approx([0, 0, 0.7 + 0.3 * 0.25, 0.3 * 0.75], abs=0.025)
    shares = torch.bincount(view["categorical"][:, 1], minlength=5) / N
    assert shares.tolist() == pytest.approx([0, 0.15, 0.7, 0.03, 0.12], abs=0.025)


def test_corrupting_everything_leaves_the_marginals(batch, facts):
    view = view_of(batch, facts, corrupt=1.0)
    assert (torch.bincount(view["categorical"][:, 1], minlength=5) / N).tolist() == pytest.approx(
        facts["frequencies"][1], abs=0.03
    )
    known = view["numeric"][:, 1][~view["missing"][:, 1]]
    assert torch.quantile(known, torch.tensor([0.1, 0.5, 0.9])).tolist() == pytest.approx(
        [-20.9, -20.5, -20.1], abs=0.05
    )


def test_correlated_features_are_masked_together(batch, facts):
    view = view_of(batch, facts, mask_groups=0.3)
    masked = torch.cat([view["missing"], view["categorical"] == UNKNOWN], dim=1)
    assert torch.equal(masked[:, 0], masked[:, 2])
    assert masked.float().mean(dim=0).tolist() == pytest.approx([0.3] * 4, abs=0.03)
    assert not masked.all(dim=1).any()
    together = (masked[:, 1] & masked[:, 3]).float().mean()
    assert together == pytest.approx(0.09 * 0.7 + 0.027 / 3, abs=0.015)  # of three groups one is always shown
    assert (view["numeric"][view["missing"]] == 0).all()
    assert torch.equal(view["numeric"][~view["missing"]], batch["numeric"][~view["missing"]])


def test_one_group_is_always_shown(batch, facts):
    view = view_of(batch, facts, mask_groups=1.0)
    masked = torch.cat([view["missing"], view["categorical"] == UNKNOWN], dim=1)
    assert torch.isin(masked.sum(dim=1), torch.tensor([2, 3])).all()


@pytest.mark.parametrize(("share", "shown"), [(0.5, 2), (0.75, 3), (0.01, 1), (1.0, 4)])
def test_subsets_have_a_size(batch, facts, share, shown):
    view = view_of(batch, facts, subset=share)
    masked = torch.cat([view["missing"], view["categorical"] == UNKNOWN], dim=1)
    assert (masked.sum(dim=1) == 4 - shown).all()
    assert masked.float().mean(dim=0).tolist() == pytest.approx([1 - shown / 4] * 4, abs=0.03)


def test_local_views_show_less(batch, facts):
    views = TabularViews(**facts, **OFF, n_local=1, local_subset=0.25)(batch)
    local = views.local_views[0]
    assert (torch.cat([~local["missing"], local["categorical"] != UNKNOWN], dim=1).sum(dim=1) == 1).all()
    assert not views.global_views[0]["missing"].any()


def test_noise_has_its_strength_and_spares_what_is_missing(batch, facts):
    batch["missing"][::2, 1] = True
    batch["numeric"][::2, 1] = 0
    view = view_of(batch, facts, noise=0.2)
    added = view["numeric"] - batch["numeric"]
    assert added[:, 0].std() == pytest.approx(0.2, abs=0.01)
    assert added[:, 0].mean() == pytest.approx(0, abs=0.02)
    assert (added[::2, 1] == 0).all()
    assert torch.equal(view["categorical"], batch["categorical"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_views": 0}, "n_views >= 1 and n_local >= 0; got 0 and 0"),
        ({"corrupt": 1.5}, r"a probability corrupt in \[0, 1\]; got 1.5"),
        ({"mask_groups": -1}, "a probability mask_groups"),
        ({"subset": 0.0}, "0 < subset <= 1, a share of the features; got 0.0"),
        ({"local_subset": 2}, "0 < local_subset <= 1"),
        ({"noise": -1}, "noise >= 0, a standard deviation; got -1"),
    ],
)
def test_options_out_of_range(facts, options, message):
    with pytest.raises(InputError, match=message):
        TabularViews(**facts, **options)


def test_collation_marks_what_is_missing():
    batch = collate_rows({"numeric": np.array([[1, np.nan]], np.float32), "categorical": np.array([[MISSING]])}, {})
    assert batch["numeric"].tolist() == [[1, 0]]
    assert batch["missing"].tolist() == [[False, True]]
    assert batch["categorical"].dtype == torch.int64


def test_drawings(facts):
    from matplotlib.figure import Figure

    prepared = synthetic_table(n_rows=60)
    modality = MODALITY.with_facts(prepared.facts)
    batch = SplitDataset(prepared.splits["train"], collate_rows, prepared.facts).__getitems__(range(20))
    views = TabularViews(**complete("views", TabularViews, {"mask_groups": 0.5}, prepared.facts))
    sample = {name: part[0] for name, part in views(batch).global_views[0].items()}
    axes = Figure(figsize=(1.5, 1.2)).subplots()
    modality.draw(axes, sample)
    texts = [text.get_text() for text in axes.texts]
    for name in (*prepared.facts["numeric_names"], *prepared.facts["categorical_names"]):
        assert name in texts
    assert len(axes.patches) == int((~sample["missing"]).sum())
    wide = {**prepared.facts, "numeric_names": [f"x{i}" for i in range(40)], "categorical_names": [], "columns": []}
    row = {"numeric": torch.zeros(40), "missing": torch.zeros(40, dtype=torch.bool), "categorical": torch.zeros(0)}
    axes = Figure().subplots()
    MODALITY.with_facts(wide).draw(axes, row)
    assert axes.texts[-1].get_text() == "and 16 more"
