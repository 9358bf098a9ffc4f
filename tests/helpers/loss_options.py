"""Settings of the loss that go together, drawn by hypothesis."""

from hypothesis import strategies as st


@st.composite
def loss_options(draw, epsilons, top_ks):
    """Keyword arguments of `bam_loss`, all but `method`."""
    n_views = draw(st.integers(1, 4))
    n_global = draw(st.integers(1, n_views))
    epsilon = draw(st.sampled_from(epsilons))
    mask_positives = draw(st.booleans())
    weights = [0.0, 0.0, 0.3, 1.0] if mask_positives and n_views > 1 else [0.0]
    return {
        "n_views": n_views,
        "n_global": n_global,
        "n_target": draw(st.integers(1, n_global)),
        "epsilon": epsilon,
        "temperature": 2 * epsilon if draw(st.booleans()) else 0.7,
        "iterations": draw(st.integers(0, 4)),
        "top_k": draw(st.sampled_from(top_ks)),
        "mask_positives": mask_positives,
        "positive_weight": draw(st.sampled_from(weights)),
    }
