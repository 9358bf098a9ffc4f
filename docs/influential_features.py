"""Which features an objective learns first: those that views share, or those that vary most.

    python docs/influential_features.py                # docs/images/influential_features.png, for docs/methods.md
    python docs/influential_features.py --steps 100 --out figure.png

Two views of a sample hold two kinds of four features each, mixed by a rotation. *Influential* ones vary little
(deviation 0.6) and are nearly the same in both views (correlation 0.95). *Noisy* ones vary much (deviation 2) and agree
less (correlation 0.4). A linear network of three layers has room for four of the eight. For every objective the figure
has, over the steps, the part of either kind's variance that a linear regression explains from the embeddings.

After the question of Littwin et al., "How JEPA avoids noisy features", NeurIPS 2024, arXiv 2407.03475, whose theory is
about deep linear networks; views, sizes and the choice of objectives are ours.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from bam_core.looks import Wish
from bam_core.objective import Objective
from bam_core.objectives.terms.bam import BAM
from bam_core.objectives.terms.byol import BYOL
from bam_core.objectives.terms.centroid_attraction import CentroidAttraction
from bam_core.objectives.terms.positive import Positive
from bam_core.objectives.terms.sigreg import SIGReg
from bam_core.objectives.terms.vibcreg import VIbCReg
from bam_core.terms import TermOutput

HERE = Path(__file__).parent
EACH, WIDTH = 4, 8  # features of a kind; of both
DEVIATION = {"influential": 0.6, "noisy": 2.0}
CORRELATION = {"influential": 0.95, "noisy": 0.4}
BATCH, EVERY, N_TEST = 256, 10, 2000


class Reconstruct(nn.Module):
    """The other view itself, numbers and all, is predicted from the embedding of a view: what an autoencoder does."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = nn.Linear(EACH, WIDTH)

    def wishes(self, drawn, encoder):
        """The first two views."""
        return [Wish(0), Wish(1)]

    def forward(self, looks, drawn, fraction):
        """Squared error, in both directions."""
        pairs = ((looks[0], drawn.view(1)), (looks[1], drawn.view(0)))
        return TermOutput(sum((self.decoder(look.projections) - view).square().mean() for look, view in pairs))


def objectives() -> dict[str, tuple[Mapping[str, nn.Module], Mapping[str, float], float | None]]:
    """Name -> terms, weights, momentum of the teacher."""
    return {
        "reconstruction": ({"reconstruct": Reconstruct()}, {}, None),
        "BAM": ({"bam": BAM()}, {}, None),
        "SimCLR": ({"positive": Positive()}, {}, None),
        "VIbCReg": ({"vibcreg": VIbCReg()}, {}, None),
        "BYOL": ({"byol": BYOL(projector_hidden=32, projector_out=EACH)}, {}, 0.99),
        "LeJEPA": (
            {"attraction": CentroidAttraction(unit=False), "sigreg": SIGReg(n_directions=32)},
            {"attraction": 0.95, "sigreg": 0.05},
            None,
        ),
    }


def draw(n: int, rotation: Tensor, generator: torch.Generator) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Two views (n, 8), and what the first one holds of each kind (n, 4)."""
    views, first = [torch.zeros(n, WIDTH), torch.zeros(n, WIDTH)], {}
    for place, kind in enumerate(DEVIATION):
        rows = slice(place * EACH, (place + 1) * EACH)
        common, *own = (torch.randn(n, EACH, generator=generator) for _ in range(3))
        for view, noise in zip(views, own, strict=True):
            shared, alone = CORRELATION[kind] ** 0.5, (1 - CORRELATION[kind]) ** 0.5
            view[:, rows] = DEVIATION[kind] * (shared * common + alone * noise)
        first[kind] = views[0][:, rows].clone()
    return [view @ rotation for view in views], first


def explained(embeddings: Tensor, wanted: Tensor) -> float:
    """Part of the variance that a linear regression explains, on the other half of the rows."""
    x = np.column_stack([embeddings.double().numpy(), np.ones(len(embeddings))])
    y, half = wanted.double().numpy(), len(x) // 2
    weights = np.linalg.lstsq(x[:half], y[:half], rcond=None)[0]
    left = ((y[half:] - x[half:] @ weights) ** 2).mean(axis=0) / y[half:].var(axis=0)
    return float(1 - left.mean())


def learnt(name: str, *, steps: int, seed: int) -> dict[str, list[float]]:
    """Kind -> what is explained, every ten steps from 0."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    rotation = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=generator)).Q
    terms, weights, momentum = objectives()[name]
    encoder = nn.Sequential(nn.Linear(WIDTH, 32, bias=False), nn.Linear(32, 32, bias=False), nn.Linear(32, EACH))
    objective = Objective(
        encoder, lambda views: views, terms, weights=weights, projector=nn.Identity(), momentum=momentum
    )
    test, kinds = draw(N_TEST, rotation, generator)
    objective.initialize(draw(BATCH, rotation, generator)[0])
    optimizer = torch.optim.AdamW(objective.parameters(), lr=1e-3, weight_decay=0.0)
    curves: dict[str, list[float]] = {kind: [] for kind in kinds}
    for step in range(steps + 1):
        if step % EVERY == 0:
            with torch.no_grad():
                embeddings = encoder(test[0])
            for kind, wanted in kinds.items():
                curves[kind].append(explained(embeddings, wanted))
        loss = objective(draw(BATCH, rotation, generator)[0], generator=generator).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        objective.update_teacher()
    return curves


def main() -> None:
    """Train, print the last values, and draw."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=HERE / "images" / "influential_features.png")
    options = parser.parse_args()
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = list(objectives())
    figure, panels = plt.subplots(1, len(names), figsize=(2.4 * len(names), 2.6), sharey=True, layout="constrained")
    x = np.arange(0, options.steps + 1, EVERY)
    print("| objective | influential | noisy |\n|---|---:|---:|")
    for name, panel in zip(names, panels, strict=True):
        runs = [learnt(name, steps=options.steps, seed=seed) for seed in range(options.seeds)]
        for kind, colour in zip(DEVIATION, ("tab:blue", "tab:red"), strict=True):
            curves = np.array([run[kind] for run in runs])
            panel.fill_between(x, curves.min(axis=0), curves.max(axis=0), color=colour, alpha=0.25, linewidth=0)
            panel.plot(x, curves.mean(axis=0), color=colour, label=kind)
        ends = [np.mean([run[kind][-1] for run in runs]) for kind in DEVIATION]
        print(f"| {name} | {ends[0]:.2f} | {ends[1]:.2f} |", flush=True)
        panel.set(title=name, xlabel="step", ylim=(0, 1))
    panels[0].set_ylabel("variance explained")
    panels[0].legend(frameon=False)
    figure.savefig(options.out, dpi=120)


if __name__ == "__main__":
    main()
