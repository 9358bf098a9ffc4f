"""The mathematics of balanced self-attention matching: torch, einops and jaxtyping only; nothing of a run."""
