"""Write the page on trust from the figures of the commands that measured them.

    python tests/trust/page.py

Each command leaves a file ``docs/trust/NAME.json`` with a title, the command, what it ran on, rows of what was
tried and how often it failed, and notes. This one makes ``docs/trust.md`` of all that are there.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"
OPENING = """# Trust

What was done to find mistakes in this package, and what was found. Each table is written by the command above it;
none is typed by hand. Run the command to check the figures or to renew them, then `python tests/trust/page.py`
writes this page.

A failure that is found is mended before the figures are taken, or it stands in the table and a note says what it
is. What no table shows was not tried: the figures speak of these inputs, these mutants and these machines alone.

{summary}The tests themselves run with `pytest`. What takes longest is left out there and run by `pytest -m slow`.
"""
MANY = 8
"""So many notes stand on the page; more are folded."""


@dataclass(frozen=True)
class Kind:
    """How the figures of one command are told: what was tried, what a failure is, what follows from it."""

    tried: str
    failed: str
    meaning: str


OTHER = Kind("tried", "failed", "")
KINDS = {
    "fuzz": Kind(
        "inputs",
        "failed",
        "Valid options and files are spoilt at random and given to every command and every loader; commands also "
        "write into folders of other studies and into other people's files, read pipes, and run in wrong "
        "environments and before terminals that are closed, narrow or gone. An input fails "
        "where the answer is anything but a result or an error in words: a traceback, a crash, a file left "
        "half-written, a file of the user's changed, a recorded row lost, or code of a file executed.",
    ),
    "faults": Kind(
        "faults",
        "failed",
        "Runs are killed, interrupted, starved of disk, locked out of their folder and left by their workers. A "
        "fault fails where finished work is lost or counted twice, or where the resumed run differs from one that "
        "was never disturbed.",
    ),
    "calibration": Kind(
        "sets",
        "missed",
        "Made-up data whose truth is known go through the functions that users call. A set is missed where its 95% "
        "interval leaves the truth out: 5% should be, and 3 to 7% may be inside the range that the package states. "
        "Outside it the result must say so.",
    ),
    "mutation": Kind(
        "mutants",
        "survived",
        "Small mistakes are planted in the code, one at a time: another comparison, sign, number. The tests kill a "
        "mutant when one of them fails. A mutant that survives is a mistake that they would not notice, or a "
        "change that makes no difference; the notes say which.",
    ),
    "coverage": Kind(
        "lines",
        "never run",
        "Which lines of code the tests run at all, with compilation switched off so that kernels are seen from "
        "inside, and with commands and workers in processes of their own counted. A line that runs is not a line "
        "that is right; one that never runs is known to nobody.",
    ),
    "determinism": Kind(
        "comparisons",
        "differed",
        "The same seed must give the same result, whatever the number of threads, processes, shards or replicas: "
        "byte for byte where nothing is said, within the stated tolerance where floating-point sums may run in "
        "another order. Values frozen in a file must come out again.",
    ),
    "versions": Kind(
        "tests",
        "failed",
        "The tests run in fresh environments: with the lowest versions that the package says it accepts, with the "
        "newest, and with other versions of Python.",
    ),
}


def main() -> None:
    """Write the page."""
    (DOCS / "trust.md").write_text(page(DOCS / "trust"), encoding="utf-8")


def page(folder: Path) -> str:
    """The page, of all figures in a folder."""
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
    order = [name for name in KINDS if name in found] + [name for name in found if name not in KINDS]
    summary = ["| | tried | failed |", "|---|---:|---:|"]
    for name in order:
        kind, (tried, failed) = KINDS.get(name, OTHER), totals(found[name])
        summary.append(f"| {prose(found[name]['title'])} | {tried} {kind.tried} | {failed} {kind.failed} |")
    opening = OPENING.format(summary="\n".join(summary) + "\n\n" if order else "")
    return "\n".join([opening, *(section(found[name], KINDS.get(name, OTHER)) for name in order)])


def totals(figures: dict[str, Any]) -> tuple[int, int]:
    """How much was tried and how much failed, over all rows."""
    return sum(row["tried"] for row in figures["rows"]), sum(row["failed"] for row in figures["rows"])


def section(figures: dict[str, Any], kind: Kind) -> str:
    """Heading, meaning, command, table, notes and origin of one command's figures."""
    more = list(figures["rows"][0].get("more", {})) if figures["rows"] else []
    rows = [("", kind.tried, kind.failed, "share", *more), *map(cells, figures["rows"])]
    table = ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    table.insert(1, "|---" + "|---:" * (len(rows[0]) - 1) + "|")
    notes = [f"- {prose(note)}" for note in figures["notes"]]
    if len(notes) > MANY:
        notes = [f"<details><summary>{len(notes)} notes</summary>", "", *notes, "", "</details>"]
    parts = [
        f"## {prose(figures['title'])}",
        kind.meaning,
        f"```\n{figures['command']}\n```",
        "\n".join(table),
        "\n".join(notes),
        origin(figures["provenance"]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def cells(row: dict[str, Any]) -> tuple[Any, ...]:
    """A row of the table: the share is that of failures; further columns where the figures have them."""
    tried, failed, more = row["tried"], row["failed"], row.get("more", {})
    return prose(row["what"]), tried, failed, f"{failed / tried:.1%}" if tried else "-", *map(prose, more.values())


def prose(text: str) -> str:
    """Text with the signs that Markdown would take for its own marked as signs; code in back-ticks stays."""
    pieces = re.split(r"(`[^`\n]+`)", text)
    pieces[::2] = [re.sub(r"([\\*_$<>\[\]{}#~|])", r"\\\1", piece) for piece in pieces[::2]]
    return "".join(pieces)


def origin(provenance: dict[str, Any]) -> str:
    """Date, commit, versions and machine in one line."""
    machine, versions = provenance.get("machine", {}), provenance.get("versions", {})
    parts = [provenance["date"][:10]] if "date" in provenance else []
    parts += [f"commit {provenance['commit'][:7]}"] if provenance.get("commit") else []
    parts += [f"{name} {version}" for name, version in versions.items()]
    parts += [f"{machine['processor']}, {machine['cores']} cores"] if machine else []
    return f"*Measured: {prose(', '.join(parts))}.*" if parts else ""


if __name__ == "__main__":
    main()
