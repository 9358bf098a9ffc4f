import math

import pytest

from bam_core import CosineSchedule, InputError, WarmupCosineSchedule
from bam_core.schedules import Ramp


def test_cosine_closed_form():
    schedule = CosineSchedule(0.995, 1.0, 1000)
    for step in range(1001):
        assert schedule(step) == pytest.approx(1 - 0.0025 * (1 + math.cos(math.pi * step / 1000)), abs=1e-12)
    assert schedule(5000) == 1.0
    assert schedule(-3) == 0.995


def test_warmup_then_cosine_closed_form():
    schedule = WarmupCosineSchedule(peak=4.8e-3, end=1e-3, warmup_steps=100, total_steps=1000)
    for step in range(1001):
        cosine = 1e-3 + 3.8e-3 * (1 + math.cos(math.pi * (step - 100) / 900)) / 2
        assert schedule(step) == pytest.approx(4.8e-5 * step if step < 100 else cosine, abs=1e-15)


def test_no_warmup_starts_at_the_peak():
    assert WarmupCosineSchedule(peak=1.0, end=0.0, warmup_steps=0, total_steps=10)(0) == 1.0


def test_wrong_lengths():
    with pytest.raises(InputError, match="total_steps >= 1; got 0"):
        CosineSchedule(0.0, 1.0, 0)
    with pytest.raises(InputError, match="warmup_steps=10, total_steps=10"):
        WarmupCosineSchedule(peak=1.0, end=0.0, warmup_steps=10, total_steps=10)


def test_a_ramp_of_a_part_of_the_run():
    assert [Ramp(1.0, 3.0, over=0.5)(fraction) for fraction in (0.0, 0.25, 0.5, 1.0)] == [1.0, 2.0, 3.0, 3.0]
    with pytest.raises(InputError, match=r"`over`, a part of the run, in \(0, 1\]; got 0"):
        Ramp(0.0, 1.0, over=0.0)
