"""Wishes for looks at the views of a batch, and the student that fulfils them: all that a step asks of networks."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from bam_core.errors import InputError
from bam_core.tokens import Tokens, encode_tokens
from bam_core.views import Drawn, encode_views

PROJECTOR = "projector"  # the head that all terms may share


class Wish(NamedTuple):
    """One view that a term wants looked at.

    Attributes:
        view: number of the view, global ones first.
        who: whose networks look.
        head: name of the head that projects the embeddings; None: no projections are wanted.
        keep: (b, k) places of the view's grid that are shown; None for all. It makes sense with `tokens` only.
        tokens: whether the tokens of a `bam_core.tokens.TokenEncoder` are wanted.
    """

    view: int
    who: Literal["student", "teacher"] = "student"
    head: str | None = PROJECTOR
    keep: Int[Tensor, "b k"] | None = None
    tokens: bool = False


class Look(NamedTuple):
    """What was seen for a wish. Widths may differ from look to look.

    Attributes:
        wish: that it answers.
        embeddings: (b, d) of the encoder; of tokens the pooled ones.
        projections: (b, p) of the wished head; None without a head.
        tokens: of the encoder's trunk, if they were wished for.
    """

    wish: Wish
    embeddings: Float[Tensor, "b d"]
    projections: Float[Tensor, "b p"] | None = None
    tokens: Tokens | None = None


class Student(nn.Module):
    """Encoder and heads: what a teacher copies. Every call of a network happens in its `forward`.

    Args:
        encoder: view -> (b, d).
        heads: name -> module (n, d) -> (n, p); a head becomes the attribute of that name.
        micro_batch: rows that the encoder sees at a time; None for all.

    Raises:
        InputError: a name that is none for a head, or that is taken.
    """

    def __init__(self, encoder: nn.Module, heads: Mapping[str, nn.Module], micro_batch: int | None = None) -> None:
        super().__init__()
        self.encoder = encoder
        self.micro_batch = micro_batch
        for name, head in heads.items():
            self.add_head(name, head)

    def add_head(self, name: str, head: nn.Module) -> None:
        """Take a further head."""
        if not name.isidentifier() or hasattr(self, name):
            raise InputError(f"a head expected a name of its own, such as 'predictor'; got {name!r}, which is taken.")
        self.add_module(name, head)

    def forward(self, wishes: Sequence[Wish], drawn: Drawn) -> list[Look]:
        """Look at views: one pass of the encoder for all of one shape, and one of each head.

        Raises:
            InputError: an encoder or a head that does not fit the wishes.
        """
        keys: list[Any] = [w.view if w.keep is None else (w.view, k) for k, w in enumerate(wishes)]
        tokens: dict[Any, Tokens] = {}
        embeddings: dict[Any, Tensor] = {}
        for key, wish in zip(keys, wishes, strict=True):
            if wish.tokens and key not in tokens:
                encoder = self.encoder_of(drawn, wish.view)
                tokens[key] = encode_tokens(
                    encoder, drawn.view(wish.view), keep=wish.keep, micro_batch=self.micro_batch
                )
                embeddings[key] = cast(nn.Module, encoder.pool)(tokens[key])
        embeddings |= self._embed(dict.fromkeys(key for key in keys if key not in embeddings), drawn)
        projections: dict[Any, Tensor] = {}
        for name in dict.fromkeys(w.head for w in wishes if w.head is not None):
            own = list(dict.fromkeys(key for key, w in zip(keys, wishes, strict=True) if w.head == name))
            rows = [embeddings[key] for key in own]
            parts = self.head(name)(joined_rows(rows)).split([len(r) for r in rows])
            projections |= {(key, name): part for key, part in zip(own, parts, strict=True)}
        return [
            Look(w, embeddings[key], projections.get((key, w.head)), tokens[key] if w.tokens else None)
            for key, w in zip(keys, wishes, strict=True)
        ]

    def head(self, name: str) -> nn.Module:
        """A head by its name.

        Raises:
            InputError: there is none.
        """
        found = self._modules.get(name)
        if found is None or name == "encoder":
            known = [n for n in self._modules if n != "encoder"]
            raise InputError(f"a wish expected one of the heads {', '.join(known)}; got {name!r}. A term brings heads.")
        return found

    def encoder_of(self, drawn: Drawn, view: int) -> nn.Module:
        """The encoder of a view's side, or the only one."""
        if not drawn.sides:
            return self.encoder
        sides = getattr(self.encoder, "sides", {})
        if drawn.sides[view] not in sides:
            raise InputError(
                f"view {view} is for the side {drawn.sides[view]!r}; the encoder has {', '.join(sides) or 'no sides'}."
            )
        return cast(nn.Module, sides[drawn.sides[view]])

    def _embed(self, views: Iterable[Any], drawn: Drawn) -> dict[Any, Tensor]:
        groups: dict[nn.Module, list[int]] = {}
        for view in views:
            if not isinstance(view, int):
                raise InputError("a wish expected tokens=True with `keep`: places can be hidden of tokens only.")
            groups.setdefault(self.encoder_of(drawn, view), []).append(view)
        found: dict[Any, Tensor] = {}
        for encoder, group in groups.items():
            parts = [part for view in group for part in drawn.parts(view)]
            made, n = encode_views(encoder, parts, micro_batch=self.micro_batch), len(parts) // len(group)
            found |= {view: joined_rows(made[k * n : (k + 1) * n]) for k, view in enumerate(group)}
        return found


def joined_rows(parts: Sequence[Tensor]) -> Tensor:
    """Rows one below the other; a copy only where there are several parts."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))
