"""The floors of the packages as a drawing: rooms from the table that the tests hold, lines from the imports."""

from __future__ import annotations

import html
import importlib.util
import textwrap
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.util import logging

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx

TABLE = Path(__file__).parents[2] / "tests" / "floors.py"
WIDTH, GAP, LINE, CHARACTER = 760, 10, 13, 6.1
STYLE = """.house { width: 100%; height: auto; font-family: inherit; }
.house rect { fill: var(--color-background-secondary, #f4f4f4); stroke: var(--color-foreground-muted, #777); }
.house text { fill: var(--color-foreground-primary, #111); font-size: 10.5px; }
.house .room { font-weight: bold; font-size: 12px; }
.house .import { stroke: #0072B2; fill: none; opacity: .35; }
.house .upward { stroke: #D55E00; stroke-width: 3; fill: none; }
"""


@dataclass(frozen=True)
class Room:
    """A box of the drawing: its name, the words in it, and where it stands."""

    name: str
    lines: list[str]
    x: float
    y: float
    width: float
    height: float


def load_floors() -> Any:
    """The module ``tests/floors.py``, which reads the imports and holds the table of floors."""
    spec = importlib.util.spec_from_file_location("floors", TABLE)
    if spec is None or spec.loader is None:
        raise RuntimeError(f"{TABLE} is missing: the drawing of the floors is made from it")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def lay_out(package: str, rows: list[list[str]], inside: dict[str, list[str]]) -> list[Room]:
    """Rooms of a package, the ground floor at the bottom; widths follow what they hold."""
    out: list[Room] = []
    y = float(GAP)
    for floor in reversed(rows):
        names = [f"{package}.{name}" for name in floor]
        shares = [2 + len(inside[name]) for name in names]
        free = WIDTH - GAP * (len(floor) + 1)
        widths = [free * share / sum(shares) for share in shares]
        texts = [
            textwrap.wrap("  ".join(inside[name]), max(12, int((width - 16) / CHARACTER)))
            for name, width in zip(names, widths, strict=True)
        ]
        height = 24 + LINE * max(map(len, texts))
        x = float(GAP)
        for name, lines, width in zip(names, texts, widths, strict=True):
            out.append(Room(name, lines, x, y, width, height))
            x += width + GAP
        y += height + 26
    return out


def contents(package: str, floors: Any) -> dict[str, list[str]]:
    """Modules of each room of a package, by the last part of their names."""
    out: dict[str, list[str]] = {}
    for name in floors.modules({package: floors.PACKAGES[package]}):
        inside = name.split(".")[2:]
        out.setdefault(floors.room(name), []).extend(inside)
    return out


def drawing(package: str, floors: Any) -> str:
    """The floors of one package as SVG; lines are imports, thick where there are many, orange if one points up."""
    rooms = {room.name: room for room in lay_out(package, floors.FLOORS[package], contents(package, floors))}
    # ends in other packages have no room; imports inside a room are the room's own business
    found = floors.arrows(floors.PACKAGES)
    wrong = set(floors.upward(found, floors.FLOORS))
    lines: Counter[tuple[str, str, bool]] = Counter()
    for module, other in found:
        one, two = rooms.get(floors.room(module)), rooms.get(floors.room(other))
        if one and two and one != two:
            lines[one.name, two.name, (module, other) in wrong] += 1
    height = max(room.y + room.height for room in rooms.values()) + GAP
    parts = [*_lines(lines, rooms), *_boxes(package, rooms)]
    start = f'<svg class="house" viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="Floors of {package}">'
    return start + "".join(parts) + "</svg>"


def _lines(lines: Counter[tuple[str, str, bool]], rooms: dict[str, Room]) -> Iterator[str]:
    heights = sorted({room.y for room in rooms.values()})
    for (one, two, wrong), number in sorted(lines.items()):
        a, b = rooms[one], rooms[two]
        # lines that go further down run further to the right, so that none lies on another
        aside = 22 * (heights.index(b.y) - heights.index(a.y) - 1)
        x, x2 = (min(room.x + room.width / 2 + aside, room.x + room.width - 8) for room in (a, b))
        title = f"<title>{one} imports {two} ({number} times)</title>"
        if a.y == b.y:
            shape = f"M{x:g} {a.y + a.height:g} C{x:g} {a.y + a.height + 22:g} {x2:g} {a.y + a.height + 22:g} "
            shape += f"{x2:g} {b.y + b.height:g}"
        else:
            shape = f"M{x:g} {a.y + a.height:g} L{x2:g} {b.y:g}"
        kind = "upward" if wrong else "import"
        yield f'<path class="{kind}" stroke-width="{0.8 + 0.4 * min(number, 10):g}" d="{shape}">{title}</path>'


def _boxes(package: str, rooms: dict[str, Room]) -> Iterator[str]:
    for room in rooms.values():
        name = room.name.removeprefix(f"{package}.").replace("__init__", "face")
        yield f'<rect x="{room.x:g}" y="{room.y:g}" width="{room.width:g}" height="{room.height:g}" rx="4"/>'
        yield f'<text class="room" x="{room.x + 8:g}" y="{room.y + 16:g}">{html.escape(name)}</text>'
        for i, line in enumerate(room.lines):
            yield f'<text x="{room.x + 8:g}" y="{room.y + 30 + LINE * i:g}">{html.escape(line)}</text>'


class Floors(Directive):
    """``{floors} package``: the drawing, and how many modules and imports it was made from."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Draw; an import that points up is a warning."""
        floors = load_floors()
        (package,) = self.arguments
        for module, other in floors.upward(floors.arrows(floors.PACKAGES), floors.FLOORS):
            logging.getLogger(__name__).warning("%s imports %s, which stands above it", module, other)
        modules = [name for name in floors.modules(floors.PACKAGES) if name.split(".")[0] == package]
        imports = [one for one, _ in floors.arrows(floors.PACKAGES) if one.split(".")[0] == package]
        count = f"{len(modules)} modules, {len(imports)} imports of one by another."
        return [nodes.raw("", drawing(package, floors), format="html"), nodes.paragraph("", count)]


def _add_style(app: Sphinx) -> None:
    folder = Path(app.doctreedir).parent / "house"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "house.css").write_text(STYLE, encoding="utf-8")
    app.config.html_static_path.append(str(folder))
    app.add_css_file("house.css")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("floors", Floors)
    app.connect("builder-inited", _add_style)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
