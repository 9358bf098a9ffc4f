"""The table of candidates for people to read."""

import pandas as pd

from bam_core.selection.select import CRITERIA, SHOWN_TO_WORK

FIRST = {"rankme": "most", "lidar": "most", "view_agreement": "most", "alpha_req": "nearest to 1"}
"""What the literature would choose by a criterion."""


def in_words(table: pd.DataFrame) -> str:
    """The table, which encoder each criterion would choose, and what is known of that choice.

    Args:
        table: of `select`.
    """
    lines = [table.to_string(index=False, float_format=lambda x: f"{x:.4g}"), ""]
    lines += [f"{name}: {CRITERIA[name]}" for name in CRITERIA if name in table]
    if len(table) > 1:
        chosen = [f"{name} ({how}): {_name(table, name)}" for name, how in FIRST.items() if table[name].notna().any()]
        lines += ["", "Each criterion by itself would choose", *(f"  {line}" for line in chosen)]
    said = (
        f"Shown to choose well: {', '.join(SHOWN_TO_WORK)}."
        if SHOWN_TO_WORK
        else "None of these criteria has been shown to choose well on data of ours; docs/selecting.md says what was "
        "measured. So nothing is recommended."
    )
    return "\n".join([*lines, "", said])


def _name(table: pd.DataFrame, criterion: str) -> str:
    values = -(table[criterion] - 1).abs() if criterion == "alpha_req" else table[criterion]
    row = table.iloc[int(values.fillna(-float("inf")).to_numpy().argmax())]
    return f"{row['run']}, step {row['step']:,}"
