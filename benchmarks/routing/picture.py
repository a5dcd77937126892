"""The curves as an SVG picture that docs can hold: no plotting library, no script, legible on light and dark."""

from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path

from predictors.complexity.training.curve import Curve

WIDTH, HEIGHT = 720, 440
LEFT, RIGHT, TOP, BOTTOM = 64, 190, 24, 56
COLORS = ("#1a7f37", "#0969da", "#bc4c00", "#8250df", "#6e7781", "#cf222e")
POINTS = 101


def draw(curves: Mapping[str, Curve], path: Path, *, title: str, low: float, high: float) -> None:
    """Writes a picture of quality (from ``low`` to ``high``) against share, one line per name."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"',
        ' font-family="sans-serif" font-size="13">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        *_axes(low, high),
    ]
    for place, (name, curve) in enumerate(curves.items()):
        color = COLORS[place % len(COLORS)]
        shares = [step / (POINTS - 1) for step in range(POINTS)]
        line = " ".join(f"{_x(share):.1f},{_y(curve.at(share), low, high):.1f}" for share in shares)
        y = TOP + 16 + 22 * place
        parts += [
            f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2"/>',
            f'<line x1="{WIDTH - RIGHT + 16}" x2="{WIDTH - RIGHT + 40}" y1="{y - 4}" y2="{y - 4}" stroke="{color}" '
            'stroke-width="2"/>',
            f'<text x="{WIDTH - RIGHT + 46}" y="{y}" fill="#1f2328">{escape(name)}</text>',
        ]
    path.write_text("\n".join([*parts, "</svg>"]) + "\n")


def _axes(low: float, high: float) -> Iterator[str]:
    """A grid of tenths of the share and of twentieths of quality, with their numbers."""
    for tenth in range(0, 11, 2):
        x = _x(tenth / 10)
        yield f'<line x1="{x}" x2="{x}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#d0d7de"/>'
        yield f'<text x="{x}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle" fill="#1f2328">{10 * tenth} %</text>'
    for percent in range(round(100 * low), round(100 * high) + 1, 5):
        y = _y(percent / 100, low, high)
        yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#d0d7de"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="#1f2328">{percent} %</text>'
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield f'<text x="{middle}" y="{HEIGHT - 14}" text-anchor="middle" fill="#1f2328">share sent to reasoning</text>'
    yield f'<text x="{LEFT}" y="{TOP - 8}" fill="#1f2328">right answers</text>'


def _x(share: float) -> float:
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _y(quality: float, low: float, high: float) -> float:
    return TOP + (high - quality) / (high - low) * (HEIGHT - TOP - BOTTOM)
