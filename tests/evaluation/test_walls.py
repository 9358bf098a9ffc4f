"""The evaluation knows no domain and no training loop; a recipe may hold its protocol without paying for the rest."""

import subprocess
import sys

import pytest


def loaded_after(statement):
    code = f"import sys\n{statement}\nprint('\\n'.join(sorted(sys.modules)))"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


@pytest.mark.slow
def test_nothing_of_training_or_of_a_domain_is_imported():
    modules = loaded_after("from bam_core.evaluation import *\nfrom bam_core.evaluation import evaluate, write_report")
    assert "bam_core.evaluation.report" in modules
    assert not {"lightning", "modalities", "bam_core.training", "bam_core.data", "datasets", "wfdb"} & modules


@pytest.mark.slow
def test_the_protocol_alone_is_cheap():
    modules = loaded_after("from bam_core.evaluation import EvaluationProtocol")
    assert "pydantic" in modules
    assert not {"torch", "sklearn", "matplotlib", "pandas", "jinja2", "numpy"} & modules


def test_unknown_names_are_attribute_errors():
    import bam_core.evaluation as evaluation

    with pytest.raises(AttributeError, match=r"module 'bam_core\.evaluation' has no attribute 'nothing'"):
        _ = evaluation.nothing
    assert sorted(evaluation.__all__) == evaluation.__all__
    assert all(getattr(evaluation, name) is not None for name in evaluation.__all__)
