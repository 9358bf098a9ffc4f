"""Contract tests for modalities, objectives and terms of your own, one line each in your test suite.

```python
from bam_core.testing import check_modality
from seismic import MODALITY

def test_the_adapter_keeps_its_promises():
    check_modality(MODALITY)
```

They check what `bam_core.protocols` promises, on the CPU, offline, without pytest; whatever is broken ends in a
`ContractError` that names the rule. Our own modalities, objectives and terms pass the same checks.
"""

from bam_core.testing.devices import fake_cuda
from bam_core.testing.modality import check_modality
from bam_core.testing.objective import check_objective
from bam_core.testing.term import check_term

__all__ = ["check_modality", "check_objective", "check_term", "fake_cuda"]
