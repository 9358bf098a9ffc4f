"""The term `dino`: the student assigns views to prototypes as its teacher does, centred and sharp."""

from collections.abc import Sequence

import torch
from torch import nn

from bam_core.config.registry import extra
from bam_core.looks import Look, Wish
from bam_core.objectives.pairs import check_comparable, check_positive, with_cosine
from bam_core.objectives.prototypes import prototype_head
from bam_core.terms import TermOutput, projections_of
from bam_core.views import Drawn


class DINO(nn.Module):
    """Self-distillation: the teacher sees the global views, the student all; lightly's `DINOLoss`.

    Over several ranks the centre is that of all.

    Args:
        n_prototypes: outputs of the head. The paper has 65,536 for ImageNet; on small data they only cost time.
        temperature: of the student.
        teacher_temperature: of the teacher; lower than the student's.
        center_momentum: of the running mean that is taken off the teacher's outputs.
        projector_hidden: width of the hidden layers of the head, which the term brings.
        projector_out: width of the bottleneck below the prototypes.
        projector_layers: linear layers below the prototypes.
        head: name of that head.

    Shape:
        A projection (b, n_prototypes) of every view, and of the teacher for every global view -> a number.

    Raises:
        InputError: a temperature or a number of prototypes that is not positive; in `wishes`, fewer than two global
            views, or a batch of one.
        MissingExtraError: lightly is not installed.

    Source: Caron et al., ICCV 2021, arXiv 2104.14294, section 3.1 and appendix C.
    """

    def __init__(
        self,
        *,
        n_prototypes: int = 4096,
        temperature: float = 0.1,
        teacher_temperature: float = 0.04,
        center_momentum: float = 0.9,
        projector_hidden: int = 512,
        projector_out: int = 256,
        projector_layers: int = 3,
        head: str = "dino",
    ) -> None:
        with extra("peers", "objective 'dino'"):
            from lightly.loss import DINOLoss
        check_positive(
            "dino", temperature=temperature, teacher_temperature=teacher_temperature, n_prototypes=n_prototypes
        )
        super().__init__()
        self.head = head
        self.heads = {
            head: prototype_head(projector_hidden, projector_out, projector_layers, n_prototypes, batch_norm=False)
        }
        self.distillation = DINOLoss(
            n_prototypes,
            teacher_temp=teacher_temperature,
            student_temp=temperature,
            center_momentum=center_momentum,
        )

    def wishes(self, drawn: Drawn, encoder: nn.Module) -> list[Wish]:
        """All views of the student, the global ones of the teacher."""
        check_comparable(drawn)
        return [
            *(Wish(view, head=self.head) for view in range(drawn.n_views)),
            *(Wish(view, "teacher", self.head) for view in range(drawn.n_global)),
        ]

    def forward(self, looks: Sequence[Look], drawn: Drawn, fraction: float = 0.0) -> TermOutput:
        """Compare."""
        outputs, targets = projections_of(looks[: drawn.n_views]), projections_of(looks[drawn.n_views :])
        with torch.autocast(outputs[0].device.type, enabled=False):
            loss = self.distillation(targets, outputs)
        return with_cosine(loss, targets)


TERM = DINO
