"""A file of the released layout gives what its network gives, computed by NumPy; heads are the script's."""

import released_vit
import torch

from bam_core import PretrainedEncoder
from bam_core.config.recipe import load_recipe
from bam_core.config.shipped_recipes import find_recipe
from bam_core.runs.import_checkpoint import import_checkpoint
from modalities.image.encoders import paper


def test_student_and_teacher_of_a_released_file(monkeypatch, tmp_path):
    shape = paper.Shape(released_vit.WIDTH, released_vit.DEPTH, released_vit.HEADS * 2)
    monkeypatch.setitem(paper.SHAPES, "tiny", shape)
    recipe = load_recipe(find_recipe("imagenet_vit"), ["encoder.size=tiny", f"encoder.heads={released_vit.HEADS}"])
    known = torch.load(released_vit.FILE, weights_only=True)["expected"]
    for role, expected in known.items():
        import_checkpoint(released_vit.FILE, recipe, tmp_path / role, network=role)
        encoder = PretrainedEncoder.from_pretrained(tmp_path / role)
        found = encoder(torch.from_numpy(released_vit.images(released_vit.SIDE)))
        torch.testing.assert_close(found, expected, rtol=0, atol=4e-6)
    assert not torch.allclose(known["student"], known["teacher"], atol=0.1)


def test_small_has_twelve_heads_also_when_a_released_file_is_imported():
    with torch.device("meta"):
        for recipe, heads in (("imagenet_vit_small", 12), ("imagenet_vit", 12)):
            options = dict(load_recipe(find_recipe(recipe)).recipe.encoder)
            assert options.pop("name") == "vit"
            network = paper.vit(**options).network
            assert {block.attn.num_heads for block in network.blocks} == {heads}
