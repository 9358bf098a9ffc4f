"""What terms that hide places ask of an encoder."""

from typing import cast

from torch import nn

from bam_core.errors import InputError
from bam_core.tokens import TokenEncoder


def token_encoder(term: str, encoder: nn.Module) -> TokenEncoder:
    """The encoder, which has tokens.

    Raises:
        InputError: it has none.
    """
    if not hasattr(encoder, "trunk"):
        raise InputError(
            f"{term} expected an encoder with tokens: patch_transformer, vit, ft_transformer, or a TokenEncoder of "
            f"yours; {type(encoder).__name__} has none."
        )
    return cast(TokenEncoder, encoder)
