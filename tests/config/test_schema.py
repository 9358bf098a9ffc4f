"""Every value of a recipe says what it may do when a run goes on; names are found once."""

from typing import Annotated

import pytest
from pydantic import BaseModel

from bam_core import RecipeError
from bam_core.config.recipe import check_recipe
from bam_core.config.schema import MAY_CHANGE, SAME, OnResume, Recipe, TrainSettings, may_change, other_run
from bam_core.imagenet.settings import ClassifierSettings, LinearSettings, SemiOneSettings, SemiSettings


def marks(model):
    """Field -> its marks; a section that bears none is looked into."""
    found = {}
    for name, field in model.model_fields.items():
        here = [mark for mark in field.metadata if isinstance(mark, OnResume)]
        inner = field.annotation
        if not here and isinstance(inner, type) and issubclass(inner, BaseModel):
            found |= {f"{name}.{key}": value for key, value in marks(inner).items()}
        else:
            found[name] = here
    return found


@pytest.mark.parametrize("model", [Recipe, ClassifierSettings, LinearSettings, SemiSettings, SemiOneSettings])
def test_every_value_is_marked_one_way_or_the_other(model):
    found = marks(model)
    assert len(found) > 12
    assert {name: here for name, here in found.items() if len(here) != 1} == {}


def test_the_test_of_marks_can_fail():
    class Settings(BaseModel):
        rate: float = 1.0
        both: Annotated[int, SAME, MAY_CHANGE] = 1

    assert marks(Settings) == {"rate": [], "both": [SAME, MAY_CHANGE]}
    assert may_change(Settings) == {"both"}


CHANGES = [
    ({"train": {"epochs": 3}}, ["train.epochs"]),
    ({"train": {"devices": 2, "num_workers": 1, "micro_batch": 4, "log_every": 1}}, []),
    ({"evaluate": {"k": 5}}, []),
    ({"views": {"name": "ecg", "crop": 0.5}, "encoder": {"name": "resnet1d"}}, ["views.crop", "encoder.width"]),
    ({"objective": {"name": "simclr"}}, ["objective.name"]),
]


@pytest.mark.parametrize(("sections", "names"), CHANGES)
def test_what_makes_another_run(smoke, sections, names):
    old = smoke()
    new = old.changed(**sections)
    assert set(names) <= set(found := other_run(old.recipe, new.recipe))
    assert bool(found) == bool(names)
    assert not other_run(new.recipe, new.recipe)


def test_another_modality_is_another_run(smoke):
    old = smoke().recipe
    assert other_run(old, old.model_copy(update={"modality": "audio"})) == ["modality"]


def test_names_are_found_once_and_changes_are_checked(smoke):
    resolved = smoke("encoder.width=4")
    modality = resolved.modality
    assert resolved.reader.factory is modality.readers[resolved.recipe.data["reader"]]
    assert resolved.views.factory is modality.views["ecg"]
    assert (resolved.encoder.factory, resolved.encoder.options["width"]) == (modality.encoders["resnet1d"], 4)
    assert resolved.objective.name == "bam"
    other = resolved.changed(train={"seed": 7}, objective={"name": "vicreg"})
    assert (other.train.seed, other.train.batch_size) == (7, resolved.train.batch_size)
    assert other.objective.factory is not resolved.objective.factory
    assert other.recipe.views == resolved.recipe.views
    assert other == check_recipe(other.recipe.model_dump())
    with pytest.raises(RecipeError, match=r"here has 2 mistake\(s\):\n.*encoder.wide: no such key.*'width'(.|\n)*seed"):
        resolved.changed("here", encoder={"name": "resnet1d", "wide": 3}, train={"seed": "x"})


def test_options_with_defaults_are_plain_values(smoke):
    found = smoke("encoder.width=4").encoder.with_defaults()
    assert (found["name"], found["width"]) == ("resnet1d", 4)
    assert "kernel_size" in found
    assert TrainSettings().model_dump(exclude=may_change(TrainSettings)).keys().isdisjoint({"devices", "num_workers"})
