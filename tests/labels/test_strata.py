import numpy as np

from bam_core.labels.strata import named_strata, strata


def test_strata_of_values_that_repeat():
    y = np.array([40.0] * 50 + [20.0] * 5 + [60.0] * 5)
    assert np.unique(strata(y)).tolist() == list(range(len(np.unique(strata(y)))))
    assert named_strata(y)[1] == ["20", "40 to 60"]
    assert strata(np.array([np.nan])).tolist() == [-1]
    assert strata(np.array([2.0, 2.0])).tolist() == [0, 0]
