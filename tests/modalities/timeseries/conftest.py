import pytest
import torch


@pytest.fixture
def ragged():
    """Five series of three channels, 3 to 50 steps."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(3, t, generator=generator) for t in (7, 13, 29, 50, 3)]
