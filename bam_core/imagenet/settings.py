"""Settings of the evaluations that papers on ImageNet report: what is fixed there, and what may be chosen."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bam_core.config.schema import MAY_CHANGE, SAME

_STRICT = ConfigDict(extra="forbid", frozen=True)
_Share = Annotated[float, Field(gt=0, le=1)]
_Epochs = Annotated[int, Field(ge=1)]
_Positive = Annotated[float, Field(gt=0)]


class KNNSettings(BaseModel):
    """kNN with a class-balanced bank, cosines of embeddings before the projector."""

    model_config = _STRICT

    fraction: _Share = 0.1
    """Part of the labelled rows of train in the bank, equally many of each class."""
    k: Annotated[int, Field(ge=1)] = 20
    """Neighbours."""
    temperature: _Positive = 0.07
    """A neighbour's vote weighs exp(cosine / temperature)."""
    seed: int = 0
    """Of the bank."""


class ClassifierSettings(BaseModel):
    """Training with labels; rates are for a batch of 256 and scaled with the batch."""

    model_config = _STRICT

    epochs: Annotated[_Epochs, SAME]
    """Passes over the labelled rows."""
    batch_size: Annotated[int, Field(ge=2), SAME]
    """Samples a step, over all devices."""
    learning_rate: Annotated[_Positive, SAME]
    """Of the linear layer, for a batch of 256; a cosine from there to zero."""
    encoder_learning_rate: Annotated[_Positive | None, SAME] = None
    """Of the encoder, for a batch of 256; none: frozen."""
    batch_norm: Annotated[bool, SAME] = True
    """Normalise the features over the batch, without parameters, before the linear layer."""
    patch_tokens: Annotated[bool, SAME] = True
    """Join the class token with the mean patch token, where the network has them."""
    scale: Annotated[tuple[_Share, _Share], SAME] = (0.08, 1.0)
    """Area of the random crops, as a fraction of the image's."""
    fraction: Annotated[_Share, SAME] = 1.0
    """Part of the labelled rows of train to learn from, equally many of each class."""
    labels: Annotated[str | None, SAME] = None
    """Text file that names the rows to learn from instead, one a line: their id, or the name of the file."""
    seed: Annotated[int, SAME] = 0
    """Of the draw of labels, the linear layer, the order of samples and the crops."""
    accelerator: Annotated[str, MAY_CHANGE] = "auto"
    """Lightning's accelerator; this and the next three may differ from those of the run."""
    devices: Annotated[int | str, MAY_CHANGE] = 1
    """Lightning's devices, a number or auto."""
    num_nodes: Annotated[int, Field(ge=1), MAY_CHANGE] = 1
    """Machines."""
    num_workers: Annotated[Annotated[int, Field(ge=0)] | None, MAY_CHANGE] = None
    """Processes that read data, per device; none: as many as the run."""


class LinearSettings(ClassifierSettings):
    """The paper's linear probe."""

    epochs: Annotated[_Epochs, SAME] = 100
    batch_size: Annotated[int, Field(ge=2), SAME] = 1024
    learning_rate: Annotated[_Positive, SAME] = 0.002


class SemiSettings(ClassifierSettings):
    """Fine-tuning with few labels; the paper gives no rates, these are ours."""

    epochs: Annotated[_Epochs, SAME] = 20
    batch_size: Annotated[int, Field(ge=2), SAME] = 256
    learning_rate: Annotated[_Positive, SAME] = 0.1
    encoder_learning_rate: Annotated[_Positive | None, SAME] = 0.01
    patch_tokens: Annotated[bool, SAME] = False
    fraction: Annotated[_Share, SAME] = 0.1


class SemiOneSettings(SemiSettings):
    """The same with 1 % of the labels, and more passes over them."""

    epochs: Annotated[_Epochs, SAME] = 50
    fraction: Annotated[_Share, SAME] = 0.01


class TransferSettings(BaseModel):
    """Logistic regression on frozen features of another folder of images."""

    model_config = _STRICT

    path: str
    """Folder with train/ and test/ (or val/), and below them a folder for each class; or with classes only."""
    test_fraction: float = 0.2
    """Of every class, to test on where the folder has no such split."""
    seed: int = 0
    """Of that choice, and of the folds that choose the regularisation."""
