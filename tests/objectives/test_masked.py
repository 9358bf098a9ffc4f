"""`masked_autoencoder` and `masked_bam`: definitions by hand, patches of encoders, and what is refused."""

import pytest
import torch
from torch import nn

from bam_core import InputError, bam_loss, rankme
from bam_core.config.registry import load_objective
from bam_core.looks import Student
from bam_core.objective import Objective
from bam_core.objectives.terms.masked_autoencoder import MaskedAutoencoder
from bam_core.objectives.terms.masked_bam import MaskedBAM
from bam_core.tokens import TokenEncoder, Tokens, kept
from bam_core.views import draw_views
from modalities.audio.encoders.vit import MelViT
from modalities.image.encoders.transformers import vit_tiny
from modalities.timeseries.encoders.patch_transformer import PatchTransformer


class Trunk(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 4)

    def forward(self, view, *, keep=None):
        return Tokens(*kept(self.layer(view), keep))


class Mean(nn.Module):
    def forward(self, tokens):
        return tokens.values.mean(1)


class Words(TokenEncoder):
    """(b, n, 3): every row of numbers is a place."""

    def __init__(self):
        super().__init__()
        self.trunk, self.pool = Trunk(), Mean()

    def grid(self, view):
        return (view.shape[1],)

    def patches(self, view):
        return view


BATCH = torch.randn(6, 8, 3, generator=torch.Generator().manual_seed(0))


def drawn_of(batch, n_views=1):
    return draw_views(lambda x: [x] * n_views, batch, torch.Generator().manual_seed(1))


class Guess(nn.Module):
    """A decoder that guesses the same everywhere."""

    def forward(self, context, targets, grid, there, like):
        return torch.full((*targets.shape, like.shape[-1]), 0.5)


@pytest.mark.parametrize("normalise", [True, False])
def test_the_autoencoders_loss_is_the_error_at_hidden_places(normalise):
    term, encoder = MaskedAutoencoder(hidden=0.25, normalise=normalise), Words()
    term.decoder = Guess()
    drawn = drawn_of(BATCH)
    wishes = term.wishes(drawn, encoder)
    assert wishes[0].keep.shape == (6, 6)
    out = term(Student(encoder, {"projector": nn.Identity()})(wishes, drawn), drawn)
    errors, squares = [], []
    for sample, shown in zip(BATCH, wishes[0].keep.tolist(), strict=True):
        for place in set(range(8)) - set(shown):
            x = sample[place]
            x = (x - x.mean()) / (x.var(correction=0) + 1e-6).sqrt() if normalise else x
            errors.append((0.5 - x).square().mean())
            squares.append(x.square().mean())
    assert out.loss.item() == pytest.approx(torch.stack(errors).mean().item(), rel=1e-5)
    assert out.scalars["error_of_mean"].item() == pytest.approx(torch.stack(squares).mean().item(), rel=1e-5)


def test_places_behind_the_end_are_not_reconstructed():
    term, encoder = MaskedAutoencoder(hidden=0.5, normalise=False), Words()
    term.decoder = Guess()
    short = BATCH.clone()
    short[:, 4:] = 0.0
    drawn = drawn_of(short)
    wishes = term.wishes(drawn, encoder)
    out = term(Student(encoder, {"projector": nn.Identity()})(wishes, drawn), drawn)
    hidden = [(i, p) for i in range(6) for p in range(4) if p not in wishes[0].keep[i].tolist()]
    expected = torch.stack([(0.5 - BATCH[i, p]).square().mean() for i, p in hidden]).mean()
    assert out.loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_autoencoder_learns_what_follows_from_the_rest():
    torch.manual_seed(0)
    waves = torch.linspace(0, 12, 64).add(6 * torch.rand(32, 1)).sin()[:, None]
    encoder = PatchTransformer(in_channels=1, patch=8, width=16, depth=1, heads=2, dropout=0.0)
    made = load_objective("masked_autoencoder")(encoder, lambda x: [x], total_steps=1, hidden=0.5, decoder_width=16)
    made.initialize(waves)
    optimizer = torch.optim.AdamW(made.parameters(), lr=5e-3)
    for _ in range(60):
        out = made(waves)
        out.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert out.error_of_mean.item() == pytest.approx(1, abs=0.01)  # of normalised patches
    assert out.loss < 0.8


@pytest.mark.parametrize("teacher", [False, True])
def test_masked_bam_is_bam_of_the_masks(teacher):
    term, encoder = MaskedBAM(shown=0.5, n_masks=3, teacher=teacher), Words()
    drawn = drawn_of(BATCH)
    student = Student(encoder, {"projector": nn.Linear(4, 5)})
    wishes = term.wishes(drawn, encoder)
    assert [wish.who for wish in wishes] == ["student"] * 3 + ["teacher"] * teacher
    assert not torch.equal(wishes[0].keep, wishes[1].keep)
    out = term(student(wishes, drawn), drawn)
    rows = [student.projector(encoder.trunk(BATCH, keep=wish.keep).values.mean(1)) for wish in wishes[:3]]
    whole = student.projector(encoder(BATCH))
    taught = torch.cat([whole] * 3) if teacher else None
    expected = bam_loss(torch.cat(rows), taught, n_views=3, epsilon=0.025, positive_weight=0.5)
    assert out.loss.item() == pytest.approx(expected.loss.item(), rel=1e-5)
    assert out.scalars["kl"].item() == pytest.approx(expected.kl.item(), rel=1e-4)


def test_masked_bam_learns_without_changes_of_the_data():
    torch.manual_seed(0)
    centres = torch.randn(4, 8, 3)
    samples = centres.repeat(12, 1, 1) + 0.3 * torch.randn(48, 8, 3)
    made = load_objective("masked_bam")(
        Words(), lambda x: [x], total_steps=1, momentum=0.99, projector_hidden=16, projector_out=8
    )
    made.initialize(samples)
    optimizer = torch.optim.AdamW(made.parameters(), lr=5e-3)
    losses = []
    for _ in range(40):
        out = made(samples)
        out.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        made.update_teacher()
        losses.append(out.loss.item())
    assert sum(losses[-5:]) < sum(losses[:5])
    assert rankme(made.embed(samples)) > 2


def test_patches_of_encoders_lie_in_the_order_of_their_tokens():
    series = torch.arange(2 * 20, dtype=torch.float32).reshape(1, 2, 20)
    patches = PatchTransformer(in_channels=2, patch=8, width=16, heads=2).patches(series)
    assert patches[0, 1].tolist() == [*range(8, 16), *range(28, 36)]
    assert patches[0, 2].tolist() == [16, 17, 18, 19, 0, 0, 0, 0, 36, 37, 38, 39, 0, 0, 0, 0]

    images = torch.rand(2, 3, 16, 24)
    vit = vit_tiny(in_channels=3, image_size=[16, 24], mean=[0.5] * 3, std=[0.2] * 3, patch=8, width=12, depth=1)
    patches = vit.patches(images)
    assert patches.shape == (2, 6, 192)
    assert vit.grid(images) == (2, 3)
    assert torch.equal(patches[:, 5], vit.standardise(images)[:, :, 8:, 16:].flatten(1))

    mel = {"sampling_rate_hz": 2000, "frame_ms": 25.0, "hop_ms": 10.0, "mean": [0.0] * 16, "std": [1.0] * 16}
    sounds = MelViT(mel=mel, patch=4, width=12, depth=1)
    clips = torch.randn(2, 1, 4000)
    patches, spectrum = sounds.patches(clips), sounds.log_mel(clips)
    down, across = sounds.grid(clips)
    assert patches.shape == (2, down * across, 16)
    assert torch.equal(patches[:, across + 2], spectrum[:, 4:8, 8:12].flatten(1))


class Unpatched(Words):
    patches = None


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda: MaskedAutoencoder(hidden=1.0), r"hidden places in \(0, 1\); got hidden=1.0"),
        (lambda: MaskedBAM(shown=0.0), r"places to show in \(0, 1\); got shown=0.0"),
        (lambda: MaskedBAM(n_masks=0), "masked_bam expected n_masks > 0; got 0"),
        (lambda: MaskedBAM(n_masks=1).wishes(drawn_of(BATCH), Words()), "at least two masks in all; got one"),
        (lambda: MaskedBAM().wishes(drawn_of(BATCH), nn.Linear(3, 4)), "masked_bam expected an encoder with tokens"),
        (lambda: MaskedAutoencoder().wishes(drawn_of(BATCH), Unpatched()), "places are patches of numbers"),
        (lambda: MaskedAutoencoder().wishes(drawn_of(BATCH[:1]), Words()), "at least two samples in a batch; got one"),
    ],
)
def test_what_is_refused(act, said):
    with pytest.raises(InputError, match=said):
        act()


def test_masks_are_terms_beside_others():
    made = Objective(
        Words(), lambda x: [x], {"masked_bam": MaskedBAM(), "masked_autoencoder": MaskedAutoencoder(decoder_width=8)}
    )
    out = made(BATCH)
    assert out.loss.item() == pytest.approx((out.masked_bam_loss + out.masked_autoencoder_loss).item(), rel=1e-5)
