"""What `bam recipes show NAME --options` says."""

from importlib.metadata import entry_points

import pytest

from bam_core.cli import main
from bam_core.config.option_docs import first_sentence, options_of, type_in_words
from bam_core.config.options import Named
from bam_core.config.registry import load_modality, load_objective, objective_names

DOMAINS = sorted(entry.name for entry in entry_points(group="bam_ssl.modalities"))
OBJECTIVES = objective_names()


def unexplained(section, functions):
    found = {
        name: [option.name for option in options_of(Named(section, name, factory, {}), functions.values())
               if not option.about or option.about.startswith(("as there", "see `"))]
        for name, factory in functions.items()
    }  # fmt: skip
    return {name: options for name, options in found.items() if options}


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_option_of_a_domain_is_explained(domain):
    modality = load_modality(domain)
    assert not unexplained("data", modality.readers)
    assert not unexplained("views", modality.views)
    assert not unexplained("encoder", modality.encoders)


def test_every_option_of_an_objective_is_explained():
    assert len(OBJECTIVES) >= 7
    assert not unexplained("objective", {name: load_objective(name) for name in OBJECTIVES})


def test_the_command(capsys):
    assert main(["recipes", "show", "smoke/ecg", "--options", "views.crop=0.5", "objective.name=simclr"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "views: name=ecg, 13 option(s)" in lines
    assert " * views.crop=0.5  (float)" in lines
    assert lines[lines.index(" * views.crop=0.5  (float)") + 1].startswith("       length of a global view's window")
    assert "   encoder.in_channels=from the data  (int)" in lines
    assert "   objective.temperature=0.1  (float)" in lines
    assert not any("total_steps" in line or "micro_batch" in line for line in lines)
    assert main(["recipes", "show", "smoke/ecg", "views.crop=0.5"]) == 1
    assert "overrides are for --options" in capsys.readouterr().err


def test_an_option_that_has_to_be_given():
    def read(*, path: str, n: int | None = None):
        """Read.

        Args:
            path: of the file;
                whatever it is.
            n: rows. All of them.
        """

    options = options_of(Named("data", "mine", read, {"n": 3}))
    assert [tuple(option) for option in options] == [
        ("path", "str", "needed", False, "of the file"),
        ("n", "int | None", "3", True, "rows"),
    ]


def test_words():
    assert first_sentence("0.5 to 1; else") == "0.5 to 1"
    assert type_in_words(list[str | int] | None) == "list[str | int] | None"
