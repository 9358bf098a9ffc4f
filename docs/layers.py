"""The picture of docs/architecture.md: the packages of bam_core, from the table that tests/test_walls.py enforces.

python docs/layers.py    # writes docs/images/layers.svg
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))
from test_walls import BELOW  # noqa: E402

GROUND = "objective.py, student.py, ... and loss/"
WIDTH, ROW, HEIGHT, BOX = 860, 74, 34, 112


def layout(below: dict[str, set[str]]) -> list[list[str]]:
    """Rows from top to bottom: a package is above all that it imports."""
    depth: dict[str, int] = {}
    while len(depth) < len(below):
        for name, others in below.items():
            if name not in depth and others <= depth.keys():
                depth[name] = 1 + max((depth[other] for other in others), default=-1)
    return [sorted(name for name in below if depth[name] == row) for row in range(max(depth.values()), -1, -1)]


def nearest(below: dict[str, set[str]], name: str) -> set[str]:
    """What a package imports, without what these import themselves."""
    return below[name] - {deeper for other in below[name] for deeper in below[other]}


def main() -> None:
    """Draw it."""
    below = {name: others - {"loss", name} for name, others in BELOW.items() if name != "loss"}
    rows = layout(below)
    place = {}
    for y, names in enumerate(rows):
        for x, name in enumerate(names):
            place[name] = ((x + 1) * WIDTH / (len(names) + 1), 10 + y * ROW)
    bottom = 10 + len(rows) * ROW
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + HEIGHT + 10}" '
        'font-family="system-ui, sans-serif" font-size="15" text-anchor="middle">',
        "<title>The packages of bam_core; an arrow means: may import</title>",
        '<rect width="100%" height="100%" fill="white"/>',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#7a8a99"/></marker></defs>',
    ]
    shown = {name: nearest(below, name) for name in sorted(below)}
    shown["cli"] &= set(rows[1])  # it may import all of them
    lines = [(place[name], place[other]) for name, others in shown.items() for other in sorted(others)]
    lines += [(place[name], (WIDTH / 2, bottom)) for name in rows[-1]]
    for (x1, y1), (x2, y2) in lines:
        parts.append(
            f'<line x1="{x1:.0f}" y1="{y1 + HEIGHT:.0f}" x2="{x2:.0f}" y2="{y2 - 2:.0f}" stroke="#7a8a99" '
            'stroke-width="1.2" marker-end="url(#tip)"/>'
        )
    for name, (x, y) in [*place.items(), (GROUND, (WIDTH / 2, bottom))]:
        width = 330 if name == GROUND else BOX
        parts.append(
            f'<rect x="{x - width / 2:.0f}" y="{y:.0f}" width="{width}" height="{HEIGHT}" rx="6" fill="#eef4f8" '
            f'stroke="#2a7f9e"/><text x="{x:.0f}" y="{y + 22:.0f}" fill="#1c2733">{name}</text>'
        )
    (HERE / "images" / "layers.svg").write_text("\n".join([*parts, "</svg>", ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
