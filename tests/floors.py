"""Who imports whom in the two packages, and the floors they live on; run it to see the house and what breaks it."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]

# One list per package, from the ground up. A floor holds rooms (a folder, or a module that stands alone); a room
# imports from lower floors, or from rooms further left on its own floor. "__init__" is the face of a package.
FLOORS: dict[str, list[list[str]]] = {
    "rhmtheory": [
        ["formulas", "support", "_kernels"],
        ["tree", "fitting"],
        ["exact", "ensemble", "corpus"],
        ["language"],
        ["theory"],
        ["comparison", "learner"],
        ["plotting"],
        ["__init__"],
        ["cli", "__main__"],
    ],
    "rhmvalidation": [
        ["networks"],
        ["training", "sentences"],
        ["diagnostics", "studies"],
        ["__init__"],
    ],
}
PACKAGES = {"rhmtheory": ROOT / "rhmtheory", "rhmvalidation": ROOT / "validation" / "rhmvalidation"}

DRAWN = (".plot", ".draw", ".figures")
"""Methods that may import `rhmtheory.plotting` inside, from below: the one exception to the rule of floors."""

Place = tuple[int, int, int]


def modules(packages: dict[str, Path]) -> dict[str, Path]:
    """Files of all modules by dotted name; a package's name stands for its ``__init__``."""
    out = {}
    for package, folder in packages.items():
        for path in sorted(folder.rglob("*.py")):
            parts = [package, *path.relative_to(folder).with_suffix("").parts]
            out[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return out


def imported(path: Path) -> set[tuple[str, str]]:
    """Full names of all that a file imports, each with the method it stands in, or ``""``.

    Imports inside functions count, those that only type checkers see, and strings that are nothing but the
    name of a module of the two packages (``"package.module"``, ``"package.module:name"``).
    """
    return set(_names(ast.parse(path.read_text(encoding="utf-8")), ""))


def _names(node: ast.AST, inside: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Import):
        yield from ((alias.name, inside) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        if node.level:
            raise ValueError(f"relative import in line {node.lineno}: give the full name")
        # from package import name: the name may be a module
        yield from ((f"{node.module}.{alias.name}", inside) for alias in node.names)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        name = node.value.replace(":", ".")
        parts = name.split(".")
        if len(parts) > 1 and parts[0] in FLOORS and all(part.isidentifier() for part in parts):
            yield name, inside
    else:
        for child in ast.iter_child_nodes(node):
            named = isinstance(node, (ast.ClassDef, ast.FunctionDef))
            yield from _names(child, f"{inside}.{node.name}" if named else inside)


def arrows(packages: dict[str, Path]) -> list[tuple[str, str]]:
    """Pairs (module, module that it imports), within and between the packages; drawing methods are left out."""
    known = modules(packages)
    out = set()
    for name, path in known.items():
        for full, inside in imported(path):
            found = owner(full, known)
            if inside.endswith(DRAWN) and inside.count(".") > 1 and full.startswith("rhmtheory.plotting"):
                continue
            if found not in (None, name):
                out.add((name, found))
    return sorted(out)


def owner(full: str, known: Iterable[str]) -> str | None:
    """The module that a full name lies in: its longest part that is one; the rest are names in it."""
    parts = full.split(".")
    return next((end for i in range(len(parts), 0, -1) if (end := ".".join(parts[:i])) in known), None)


def room(module: str) -> str:
    """The room of a module: the folder or file below its package; the face is ``package.__init__``."""
    package, _, rest = module.partition(".")
    return f"{package}.{rest.split('.')[0] or '__init__'}"


def places(table: dict[str, list[list[str]]]) -> dict[str, Place]:
    """Where each room of the table stands, as numbers that rise from the ground up and from left to right."""
    return {
        f"{package}.{name}": (number, height, across)
        for number, (package, rows) in enumerate(table.items())
        for height, floor in enumerate(rows)
        for across, name in enumerate(floor)
    }


def upward(pairs: Iterable[tuple[str, str]], table: dict[str, list[list[str]]]) -> list[tuple[str, str]]:
    """Imports of another room that point up or to the right; without one no circle leads through two rooms."""
    place = places(table)
    return [(a, b) for a, b in pairs if room(a) != room(b) and place[room(b)] >= place[room(a)]]


def circles(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Modules that import each other in a circle, however long."""
    below: dict[str, set[str]] = {}
    for a, b in pairs:
        below.setdefault(a, set()).add(b)
        below.setdefault(b, set())
    while True:
        free = {name for name, others in below.items() if not others}
        if not free:
            return sorted(below)
        below = {name: others - free for name, others in below.items() if name not in free}


def private(packages: dict[str, Path]) -> list[tuple[str, str]]:
    """Imports of names of the other package that bear an underscore."""
    known = modules(packages)
    return [
        (name, full)
        for name, path in known.items()
        for full, _ in sorted(imported(path))
        if owner(full, known) and full.split(".")[0] != name.split(".")[0]
        if any(part.startswith("_") for part in full.split("."))
    ]


def faces(packages: dict[str, Path]) -> dict[str, dict[str, str]]:
    """Public names: for each face (a package with an ``__init__.pyi``) its names and the modules they come from.

    A name that is itself a module or a subpackage is left out: it has a face, or names, of its own.
    """
    known = modules(packages)
    out = {}
    for name, path in known.items():
        stub = path.with_name("__init__.pyi")
        if path.name != "__init__.py" or not stub.exists():
            continue
        found = {}
        for node in ast.parse(stub.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom):
                home = f"{name}.{node.module}" if node.module else name
                found |= {
                    alias.asname or alias.name: home for alias in node.names if f"{home}.{alias.name}" not in known
                }
        out[name] = dict(sorted(found.items()))
    return out


if __name__ == "__main__":
    for package, rows in FLOORS.items():
        print(package)
        for floor in reversed(rows):
            print("  " + "   ".join(floor))
    found = arrows(PACKAGES)
    rooms = {(room(a), room(b)) for a, b in found if room(a) != room(b)}
    print(f"{len(modules(PACKAGES))} modules, {len(found)} imports, {len(rooms)} arrows between rooms")
    print("upward:", upward(found, FLOORS) or "none")
    print("circles:", circles(found) or "none")
    print("private names of the other package:", private(PACKAGES) or "none")
    print("public names:", len({(home, name) for face in faces(PACKAGES).values() for name, home in face.items()}))
