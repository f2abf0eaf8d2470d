"""A Drawing of a graph as one SVG text, light or dark as its reader's screen is."""

import html

from .graph_drawing import LINE, PAD

STYLE = """
.paper{fill:#fff}.box{fill:#f6f8fa;stroke:#8c959f}.leaf{fill:#e7f3ff}.fold{stroke-dasharray:5 3}
.edge{fill:none;stroke:#57606a;stroke-width:1.3}.tip{fill:#57606a}
text{font:12px "DejaVu Sans",Verdana,sans-serif;fill:#1b1f24}
text.title{font-weight:600;font-size:13px}text.muted{fill:#57606a}text.grad{fill:#b54900}
@media (prefers-color-scheme:dark){.paper{fill:#14181d}.box{fill:#20262d;stroke:#6b7580}.leaf{fill:#15304a}
.edge{stroke:#a0a9b4}.tip{fill:#a0a9b4}text{fill:#e6eaef}text.muted{fill:#a0a9b4}text.grad{fill:#ff9a4d}}
"""
MARKER = (
    '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path class="tip" d="M0,0L8,4L0,8z"/></marker>'
)


def svg(drawing):
    """The picture as one text."""
    parts = [line_svg(points) for points in drawing.lines]
    parts += [box_svg(drawing.at[b["id"]], drawing.sizes[b["id"]], drawing.texts[b["id"]], b) for b in drawing.boxes]
    w, h = (round(n) for n in drawing.size)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}">'
    paper = f'<rect class="paper" width="{w}" height="{h}"/>'
    return f"{head}<style>{STYLE}</style><defs>{MARKER}</defs>{paper}{''.join(parts)}</svg>"


def line_svg(points):
    (x, y), *rest = points
    d = f"M{x:.1f},{y:.1f}"
    for (x0, y0), (x1, y1) in zip(points, rest):
        middle = (y0 + y1) / 2
        d += f"C{x0:.1f},{middle:.1f} {x1:.1f},{middle:.1f} {x1:.1f},{y1:.1f}"
    return f'<path class="edge" d="{d}" marker-end="url(#tip)"/>'


def box_svg(centre, size, lines, box):
    (cx, cy), (w, h) = centre, size
    x, y = cx - w / 2, cy - h / 2
    kind = "box leaf" if box["leaf"] else "box fold" if box.get("folded") else "box"
    texts = (
        f'<text class="{kind}" x="{x + PAD:.1f}" y="{y + PAD + 8 + i * LINE:.1f}">{html.escape(text)}</text>'
        for i, (text, kind) in enumerate(lines)
    )
    rect = f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" rx="7"/>'
    return f"<g data-id='{box['id']}'>{rect}{''.join(texts)}</g>"
