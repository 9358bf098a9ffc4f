import numpy as np
import pytest
import torch

from bam_core.errors import InputError
from bam_core.views import encode_views
from modalities.tabular.encoders import FeatureTransformer, MLPEncoder

FACTS = {
    "n_numeric": 3,
    "cardinalities": [4, 40],
    "quantiles": [np.linspace(-2, 2, 101).tolist(), [0.0] * 95 + [1.0] * 6, [-1.0, *([0.5] * 99), 7.0]],
}


@pytest.fixture
def row():
    generator = torch.Generator().manual_seed(0)
    return {
        "numeric": torch.randn(6, 3, generator=generator),
        "missing": torch.zeros(6, 3, dtype=torch.bool),
        "categorical": torch.randint(0, 4, (6, 2), generator=generator),
    }


MAKERS = [
    lambda **o: MLPEncoder(**{**FACTS, **o}),
    lambda **o: MLPEncoder(**{**FACTS, "numeric": "none", **o}),
    lambda **o: MLPEncoder(**{**FACTS, "numeric": "piecewise", **o}),
    lambda **o: FeatureTransformer(**{**FACTS, **o}),
    lambda **o: FeatureTransformer(**{**FACTS, "numeric": "periodic", **o}),
]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("width", [32, 64])
def test_one_vector_a_row_with_gradients(make, width, row):
    encoder = make(width=width)
    embeddings = encoder(row)
    assert embeddings.shape == (6, width)
    embeddings.square().mean().backward()
    assert all(p.grad is not None for p in encoder.parameters())
    assert [e.shape for e in encode_views(encoder, [row, row])] == [(6, width)] * 2


@pytest.mark.parametrize("make", MAKERS)
def test_every_part_of_a_row_matters(make, row):
    encoder = make(width=32).eval()
    with torch.no_grad():
        before = encoder(row)
        for name, place, value in (
            ("numeric", (0, 0), 1.7),
            ("missing", (1, 2), True),
            ("categorical", (2, 1), 3 if row["categorical"][2, 1] != 3 else 2),
        ):
            changed = {key: part.clone() for key, part in row.items()}
            changed[name][place] = value
            differs = (encoder(changed) - before).abs().amax(dim=1) > 1e-6
            assert differs.nonzero().flatten().tolist() == [place[0]], name


def test_outliers_are_brought_into_the_range_of_training(row):
    encoder = MLPEncoder(**FACTS, width=32, numeric="piecewise").eval()
    far, edge = ({**row, "numeric": row["numeric"].clone()} for _ in range(2))
    far["numeric"][:, 0], edge["numeric"][:, 0] = 1e6, 2.0
    assert torch.equal(encoder(far), encoder(edge))


def test_the_transformer_ignores_the_number_where_it_is_missing(row):
    encoder = FeatureTransformer(**FACTS, width=32).eval()
    row["missing"][:, 0] = True
    other = {**row, "numeric": row["numeric"].clone()}
    other["numeric"][:, 0] = 0.0
    assert torch.equal(encoder(row), encoder(other))


def test_sizes_for_adult():
    adult = {
        "n_numeric": 6,
        "cardinalities": [10, 18, 9, 16, 8, 7, 4, 43],
        "quantiles": [np.linspace(-2, 2, 101).tolist()] * 6,
    }
    sizes = [sum(p.numel() for p in make(**adult).parameters()) for make in (MLPEncoder, FeatureTransformer)]
    assert sizes == [192_646, 167_232]


def test_width_and_heads():
    with pytest.raises(InputError, match="width as a multiple of n_heads; got 30 and 4"):
        FeatureTransformer(**FACTS, width=30)


def test_wide_tables_enter_as_they_are():
    """Bytes of weights and of what is kept for the backward pass, of 20,000 numbers: embedded they were 3.5 GB."""
    with torch.device("meta"):
        encoder = MLPEncoder(n_numeric=20_000, cardinalities=[], quantiles=[])
        kept = {}

        def pack(tensor):
            kept[id(tensor)] = tensor
            return tensor

        row = {"numeric": torch.empty(256, 20_000), "missing": torch.empty(256, 20_000, dtype=torch.bool)}
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            encoder({**row, "categorical": torch.empty(256, 0, dtype=torch.long)})
    weights = sum(p.nbytes for p in encoder.parameters())
    assert weights + sum(tensor.nbytes for tensor in kept.values()) < 200e6
    assert MLPEncoder(n_numeric=1000, cardinalities=[], quantiles=[], width=4).numbers is not None
    with torch.device("meta"):
        assert MLPEncoder(n_numeric=1001, cardinalities=[], quantiles=[], numeric="periodic").numbers is not None


def test_too_many_features_for_attention_are_refused_with_the_estimate():
    with pytest.raises(
        InputError,
        match=r"keeps 246 MB a row in training, 63 GB for 256 rows, at 20,000 features, width 64 and depth 3; it takes "
        r"up to 100 MB\. Take the encoder mlp, fewer columns",
    ):
        FeatureTransformer(n_numeric=20_000, cardinalities=[], quantiles=[])
