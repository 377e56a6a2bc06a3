"""Who imports whom in the two packages, and the floors they live on; run it to see the house and what breaks it."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]

# One list a package, from the ground up. A floor holds rooms (modules, or packages with their modules), and what is
# imported lies below, or on the same floor or in the same room to the left. "__init__" is the front of a package.
FLOORS: dict[str, list[dict[str, list[str]]]] = {
    "rhmtheory": [
        {
            "_support": [
                "types",
                "checks",
                "draws",
                "lazy",
                "facade",
                "html",
                "json",
                "files",
                "parallel",
                "memory",
                "progress",
                "provenance",
                "tables",
                "reading",
            ]
        },
        {"_kernels": ["sampling", "counting", "spectral", "entropy", "spine", "inference", "inference_logs"]},
        # formulas of plain numbers, used from the model up
        {"theory.formulas": []},
        {"model": ["tuples", "rhm", "grammar", "sampling", "derivation", "interventions"]},
        {
            "fitting": ["slopes", "levels", "intervals", "curves"],
            "exact": ["correlations", "residuals", "spine", "entropy", "evidence", "messages", "inference"],
            "ensemble": ["moments", "correlations", "loss_plateaus", "quenched"],
        },
        {
            "theory": ["learners", "predictions", "symbolic"],
            "measured": ["pairs", "clustering", "thresholds", "text", "ngrams", "windows", "corpus"],
        },
        {"comparison": ["curves", "tables", "measurement", "studies", "own"]},
        {"plotting": ["style", "languages", "samples", "clocks", "verdicts"]},
        {"__init__": []},
        {"cli": ["options", "output", "ensembles", "sentences", "samples", "curves", "networks"]},
    ],
    "rhmvalidation": [
        {
            "signals": [],
            "devices": [],
            "figures": [],
            "optimisers": [],
            "repeats": [],
            "layers": [],
            "models": [],
            "data": [],
            "context": [],
        },
        {"adapted": [], "networks": []},
        {"runs": [], "records": []},
        {"training": [], "activations": [], "probes": [], "sentences": [], "evaluation": []},
        {"coordinates": [], "preset": [], "results": []},
        {"execution": [], "plan": []},
        {"published": [], "progress": []},
        {"reports": []},
        {"job": []},
        {"__init__": []},
    ],
}
PACKAGES = {"rhmtheory": ROOT / "rhmtheory", "rhmvalidation": ROOT / "validation" / "rhmvalidation"}

Place = tuple[int, ...]


def modules(packages: dict[str, Path]) -> dict[str, Path]:
    """Files of all modules by dotted name; a package's name stands for its ``__init__``."""
    out = {}
    for package, folder in packages.items():
        for path in sorted(folder.rglob("*.py")):
            parts = [package, *path.relative_to(folder).with_suffix("").parts]
            out[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return out


def imported(path: Path) -> set[str]:
    """Full names of all that a file imports, at any depth; what only type checkers see is left out."""
    return set(_names(ast.parse(path.read_text(encoding="utf-8"))))


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        if node.level:
            raise ValueError(f"relative import in line {node.lineno}: give the full name")
        # from package import name: the name may be a module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        for child in node.orelse:
            yield from _names(child)
    else:
        for child in ast.iter_child_nodes(node):
            yield from _names(child)


def arrows(packages: dict[str, Path]) -> list[tuple[str, str]]:
    """Pairs (module, module that it imports), within and between the packages."""
    known = modules(packages)
    out = set()
    for name, path in known.items():
        for full in imported(path):
            # the longest part that is a module; the rest are names in it
            parts = full.split(".")
            ends = [".".join(parts[:i]) for i in range(len(parts), 0, -1)]
            found = next((end for end in ends if end in known), None)
            if found not in (None, name):
                out.add((name, found))
    return sorted(out)


def places(floors: dict[str, list[dict[str, list[str]]]]) -> dict[str, Place]:
    """Where each module of the table stands, as numbers that rise from the ground up and from left to right."""
    out = {}
    for number, (package, rows) in enumerate(floors.items()):
        for height, floor in enumerate(rows):
            for across, (room, inside) in enumerate(floor.items()):
                name = package if room == "__init__" else f"{package}.{room}"
                for i, module in enumerate(inside):
                    out[f"{name}.{module}"] = (number, height, across, i)
                out[name] = (number, height, across, len(inside))
    return out


def upward(
    pairs: Iterable[tuple[str, str]], floors: dict[str, list[dict[str, list[str]]]]
) -> list[tuple[str, str]]:
    """Imports that point up or to the right; without one there is no circle either."""
    place = places(floors)
    return [(name, other) for name, other in pairs if place[other] >= place[name]]


if __name__ == "__main__":
    for package, rows in FLOORS.items():
        print(package)
        for floor in reversed(rows):
            rooms = [f"{room}: {', '.join(inside)}" if inside else room for room, inside in floor.items()]
            print("  " + "   ".join(rooms))
    found = arrows(PACKAGES)
    print(f"{len(modules(PACKAGES))} modules, {len(found)} imports, upward: {upward(found, FLOORS) or 'none'}")
