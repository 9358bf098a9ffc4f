"""One look at the views for all terms: what is computed once, who gets what, tokens, sides, and what is refused."""

import copy

import pytest
import torch
from torch import nn

from bam_core import CollapseWarning, InputError, Views
from bam_core.looks import Student, Wish
from bam_core.objective import Objective
from bam_core.objectives.terms.bam import BAM
from bam_core.objectives.terms.uniformity import Uniformity
from bam_core.schedules import Ramp
from bam_core.terms import Comparison, TermOutput
from bam_core.tokens import TokenEncoder, Tokens, kept
from bam_core.views import Drawn, draw_views, make_views


class Wanting(nn.Module):
    """Wishes for what it is told, and keeps what it got."""

    def __init__(self, *wishes, heads=None):
        super().__init__()
        self.wanted, self.heads = list(wishes), heads or {}

    def wishes(self, drawn, encoder):
        return self.wanted

    def forward(self, looks, drawn, fraction):
        self.looks, self.fraction = looks, fraction
        rows = [x for look in looks for x in (look.projections, look.embeddings) if x is not None]
        return TermOutput(rows[0].square().mean())


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.calls = nn.Linear(3, 4), 0

    def forward(self, x):
        self.calls += 1
        return self.layer(x)


class Trunk(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.calls = nn.Linear(1, 4), []

    def forward(self, view, *, keep=None):
        self.calls.append(len(view))
        return Tokens(*kept(self.layer(view[..., None]), keep))


class Mean(nn.Module):
    def forward(self, tokens):
        return tokens.values.mean(1)


class Words(TokenEncoder):
    def __init__(self):
        super().__init__()
        self.trunk, self.pool = Trunk(), Mean()

    def grid(self, view):
        return (view.shape[1],)


def two(batch):
    return [batch, 2 * batch]


BATCH = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))


def test_terms_share_one_pass_and_get_what_they_wished_for():
    encoder = Counting()
    first = Wanting(Wish(1), Wish(0, head=None))
    second = Wanting(Wish(0, head="own"), Wish(1, "teacher"), heads={"own": nn.Linear(4, 2)})
    made = Objective(
        encoder, two, {"a": first, "b": second}, weights={"b": 0.5}, projector=nn.Linear(4, 5), momentum=0.0
    )
    out = made(BATCH)
    assert encoder.calls == 1
    assert [look.wish for look in first.looks] == first.wanted
    assert torch.equal(first.looks[0].projections, made.projector(encoder.layer(2 * BATCH)))
    assert first.looks[1].projections is None
    assert torch.equal(second.looks[0].projections, made.student.own(first.looks[1].embeddings))
    assert second.looks[1].wish.who == "teacher"
    assert not second.looks[1].projections.requires_grad
    assert torch.equal(second.looks[1].projections, first.looks[0].projections)  # nothing was learnt yet
    assert out.loss.item() == pytest.approx((out.a_loss + 0.5 * out.b_loss).item())
    assert torch.equal(out.embeddings, encoder.layer(torch.cat(two(BATCH))))
    assert any(key.startswith("teacher.module.own.") for key in made.state_dict())


@pytest.mark.parametrize("micro_batch", [None, 3])
def test_tokens_of_all_places_and_of_some(micro_batch):
    keep = torch.tensor([[0, 2]] * 8)
    wanting = Wanting(Wish(0, tokens=True), Wish(1, keep=keep, tokens=True, head=None), Wish(0))
    made = Objective(Words(), two, {"a": wanting}, projector=nn.Linear(4, 5), micro_batch=micro_batch)
    out = made(BATCH)
    out.loss.backward()
    whole, some, plain = wanting.looks
    assert made.encoder.trunk.calls[:2] == ([8, 8] if micro_batch is None else [3, 3])
    assert torch.equal(whole.embeddings, plain.embeddings)  # pooled of the same tokens
    assert plain.tokens is None
    assert torch.allclose(whole.embeddings, made.encoder(BATCH))
    assert torch.equal(some.tokens.place, keep)
    assert torch.allclose(some.embeddings, made.encoder.trunk(2 * BATCH, keep=keep).values.mean(1))
    assert torch.allclose(out.embeddings, torch.cat([whole.embeddings, some.embeddings]))


def test_every_view_goes_to_the_encoder_of_its_side():
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.sides = nn.ModuleDict({"a": nn.Linear(3, 4), "b": nn.Linear(2, 6)})

    pair, wanting = Pair(), Wanting(Wish(0, head=None), Wish(1, head=None))
    made = Objective(pair, lambda x: Views([x, x[:, :2]], sides=("a", "b")), {"a": wanting}, projector=nn.Identity())
    out = made(BATCH)
    assert [look.embeddings.shape[1] for look in wanting.looks] == [4, 6]
    assert torch.equal(out.embeddings, pair.sides["a"](BATCH))  # of one width
    made.view_fn = lambda x: Views([x, x], sides=("a", "c"))
    with pytest.raises(InputError, match="view 1 is for the side 'c'; the encoder has a, b"):
        made(BATCH)
    with pytest.raises(InputError, match="one of `sides` for each of its 2 views; got 1"):
        make_views(lambda x: Views([x, x], sides=("a",)), BATCH, None)


def test_drawn_numbers_are_those_of_the_parts():
    seeds = [torch.Generator().manual_seed(s) for s in (1, 2)]
    drawn = draw_views(lambda x: Views(two(x), aux={"sum": x.sum(1)}), BATCH, seeds)
    assert torch.equal(drawn.aux["sum"], BATCH.sum(1))
    assert torch.equal(drawn.view(1), 2 * BATCH)
    assert drawn.batch_size == 8
    expected = torch.cat([torch.rand(4, 5, generator=torch.Generator().manual_seed(s)) for s in (1, 2)])
    assert torch.equal(drawn.rand(5), expected)
    with pytest.raises(
        InputError,
        match=r"the parts of view 0 expected one shape.*got \(4, 3\), \(4, 2\)\. Cut all parts",
    ):
        Drawn([BATCH[:4], BATCH[4:, :2]], 1, 1).view(0)


def test_terms_without_a_shape_get_one_from_the_first_batch():
    class Predicting(Wanting):
        def __init__(self):
            super().__init__(Wish(0), Wish(1))
            self.predictor = nn.LazyLinear(2)

        def forward(self, looks, drawn, fraction):
            return TermOutput(self.predictor(looks[0].projections).square().mean())

    made = Objective(Counting(), two, {"a": Predicting()}, projector=nn.Linear(4, 5))
    made.initialize(BATCH)
    assert made.terms["a"].predictor.weight.shape == (2, 5)
    assert made.encoder.calls == 0


def test_a_weight_follows_the_run_and_goes_on_after_loading():
    def make():
        torch.manual_seed(0)
        terms = {"bam": BAM(), "even": Uniformity()}
        weights = {"even": Ramp(0.0, 1.0)}
        return Objective(Counting(), two, terms, weights=weights, projector=nn.Linear(4, 5), total_steps=4)

    made = make()
    for step in range(3):
        assert made.fraction == step / 4
        out = made(BATCH)
        assert out.loss.item() == pytest.approx((out.bam_loss + step / 4 * out.even_loss).item(), rel=1e-5)
        made.update_teacher()
    other = make()
    other.load_state_dict(copy.deepcopy(made.state_dict()))
    assert other.fraction == 0.75
    assert other(BATCH).loss == made(BATCH).loss


def test_advice_becomes_a_warning_in_training_only():
    class Advising(Wanting):
        def advice(self, output):
            return "mind the step"

    made = Objective(Counting(), two, {"a": Advising(Wish(0))}, projector=nn.Linear(4, 5))
    assert made.advises
    with pytest.warns(CollapseWarning, match="mind the step"):
        made(BATCH)
    made.eval()(BATCH)
    with torch.no_grad():
        made.train()(BATCH)


def test_pictures_and_costs_come_from_terms():
    made = Objective(Counting(), two, {"a": Wanting(Wish(0)), "bam": BAM()}, projector=nn.Linear(4, 5))
    shown = made.picture(BATCH)
    assert torch.equal(shown.projections, made.projector(made.encoder.layer(torch.cat(two(BATCH)))))
    assert (shown.n_views, shown.temperature, shown.epsilon) == (2, 0.1, 0.025)
    assert made.cost(2) == Comparison(2, 3)
    alone = Objective(Counting(), two, {"a": Wanting(Wish(0))}, projector=nn.Linear(4, 5))
    assert (alone.picture(BATCH), alone.cost(2)) == (None, Comparison(0, 0))


@pytest.mark.parametrize(
    ("terms", "options", "said"),
    [
        ({}, {}, "Objective expected at least one term; got none"),
        ({"no word": BAM()}, {}, "a word of its own as its name; got 'no word'"),
        ({"a": nn.Linear(1, 1)}, {}, "term 'a' expected a bam_core.terms.Term; got Linear"),
        ({"a": BAM()}, {"weights": {"b": 1}}, "weights expected the names of terms, a; got b"),
        ({"a": BAM()}, {"weights": {"a": Ramp(0.0, 1.0)}}, "the weight of 'a' changes over the run"),
        ({"a": BAM()}, {"total_steps": 0}, "an objective expected total_steps >= 1; got 0"),
        ({"a": Wanting(heads={"encoder": nn.Identity()})}, {}, "a head expected a name of its own.*got 'encoder'"),
    ],
)
def test_wrong_parts(terms, options, said):
    with pytest.raises(InputError, match=said):
        Objective(nn.Linear(3, 4), two, terms, **options)


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (Wish(0, head="none"), "one of the heads projector; got 'none'"),
        (Wish(0, "teacher"), "a term wishes for the teacher, and there is none: give the objective a momentum"),
        (Wish(0, tokens=True), "an encoder with a trunk.*Linear has none"),
        (Wish(0, keep=torch.zeros(8, 1, dtype=torch.long)), "tokens=True with `keep`"),
    ],
)
def test_wishes_that_cannot_be_fulfilled(wish, said):
    made = Objective(nn.Linear(3, 4), two, {"a": Wanting(Wish(0), wish)}, projector=nn.Linear(4, 5))
    with pytest.raises(InputError, match=said):
        made(BATCH)


def test_a_student_alone():
    student = Student(nn.Linear(3, 4), {"projector": nn.Linear(4, 2)})
    (look,) = student([Wish(0)], Drawn([BATCH], 1, 1))
    assert look.projections.shape == (8, 2)
