"""Frozen embeddings in, numbers and pictures out: probes, label fractions, results, report.

Knows no domain, no training loop and no recipe. Needs the `train` extra; the names below are loaded on first use, so
that a recipe can hold an `EvaluationProtocol` without importing scikit-learn or matplotlib.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bam_core.evaluation.cells import CellRecord, join_cells
    from bam_core.evaluation.embeddings import EmbeddingFigures, describe_embeddings
    from bam_core.evaluation.fractions import balanced_rows, draw_rows
    from bam_core.evaluation.inputs import Features, SplitLabels
    from bam_core.evaluation.knn import Neighbours, knn_probe, nearest
    from bam_core.evaluation.linear import LinearProbe, linear_probe
    from bam_core.evaluation.metrics import metric_of_weights
    from bam_core.evaluation.pictures import AttentionPicture, EmbeddingMap, Gallery, NeighbourRows
    from bam_core.evaluation.protocol import EvaluationProtocol
    from bam_core.evaluation.report import ReportContent, write_report
    from bam_core.evaluation.results import Cost, Result, Results
    from bam_core.evaluation.run import evaluate
    from bam_core.evaluation.seeds import aggregate
    from bam_core.evaluation.verdict import Comparison

_HOME = {
    "cells": ("CellRecord", "join_cells"),
    "seeds": ("aggregate",),
    "embeddings": ("EmbeddingFigures", "describe_embeddings"),
    "run": ("evaluate",),
    "fractions": ("balanced_rows", "draw_rows"),
    "inputs": ("Features", "SplitLabels"),
    "knn": ("Neighbours", "knn_probe", "nearest"),
    "linear": ("LinearProbe", "linear_probe"),
    "metrics": ("metric_of_weights",),
    "pictures": ("AttentionPicture", "EmbeddingMap", "Gallery", "NeighbourRows"),
    "protocol": ("EvaluationProtocol",),
    "report": ("ReportContent", "write_report"),
    "results": ("Cost", "Result", "Results"),
    "verdict": ("Comparison",),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "AttentionPicture",
    "CellRecord",
    "Comparison",
    "Cost",
    "EmbeddingFigures",
    "EmbeddingMap",
    "EvaluationProtocol",
    "Features",
    "Gallery",
    "LinearProbe",
    "NeighbourRows",
    "Neighbours",
    "ReportContent",
    "Result",
    "Results",
    "SplitLabels",
    "aggregate",
    "balanced_rows",
    "describe_embeddings",
    "draw_rows",
    "evaluate",
    "join_cells",
    "knn_probe",
    "linear_probe",
    "metric_of_weights",
    "nearest",
    "write_report",
]


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'bam_core.evaluation' has no attribute {name!r}")
    return getattr(import_module(f"bam_core.evaluation.{_MODULE_OF[name]}"), name)
