"""How many rows fit into memory at a time."""

import math
from collections.abc import Mapping
from typing import Any

MOST_ROWS = 512


MOST_VALUES = 2**26  # of the samples of a batch: a quarter of a gigabyte


def rows_at_a_time(facts: Mapping[str, Any]) -> int:
    """As many as fit into memory, also of long recordings: 1 to 512, by the size of the largest row."""
    lengths = facts.get("image_size") or [facts.get("longest", 1)]
    values: int = math.prod(facts.get("shape") or [facts.get("in_channels", 1), *lengths])
    return max(1, min(MOST_ROWS, MOST_VALUES // max(1, values)))
