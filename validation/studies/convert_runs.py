"""Bring results of earlier code into one folder of the present format, of whatever batch sizes, rates and widths.

    python convert_runs.py OLD [OLD ...] --out NEW

Earlier code kept width, heads and depth of a network among the settings of training, and one batch size per folder.
Of each old folder, which stays as it is, runs.jsonl and runs/*.json are read, finished or not; present formats are
taken as they are. NEW may hold results already: the same runs are superseded, others stay. Then
`rhmtheory report NEW` tells the curves apart.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from rhmtheory.support.files import write_atomically
from rhmvalidation.studies.folder import ResultFolder
from rhmvalidation.studies.records import Finished, parse_run, settings_by_curve

OF_THE_NETWORK = {"width": None, "heads": 1, "depth": None}


def converted(content: dict[str, Any]) -> dict[str, Any]:
    """A run or a sweep whose network is name and arguments; one that is so already stays."""
    if isinstance(content["network"], dict):
        return content
    settings = dict(content["settings"])
    given = {name: settings.pop(name, default) for name, default in OF_THE_NETWORK.items()}
    arguments = {name: value for name, value in given.items() if value != OF_THE_NETWORK[name]}
    arguments |= dict(content.get("arguments", []))
    out = {name: value for name, value in content.items() if name != "arguments"}
    return out | {"network": {"name": content["network"], "arguments": arguments}, "settings": settings}


def read(folder: Path) -> list[Finished]:
    """All finished runs of an old folder."""
    table = folder / "runs.jsonl"
    lines = table.read_text().splitlines() if table.exists() else []
    texts = [(f"{table}, line {number}", line) for number, line in enumerate(lines, start=1)]
    texts += [(str(path), path.read_text()) for path in sorted((folder / "runs").glob("*.json"))]
    found = []
    for source, text in texts:
        content = json.loads(text)
        found.append(parse_run(json.dumps({**content, "run": converted(content["run"])}), source))
    return found


def sweeps(folders: list[Path]) -> list[dict[str, Any]]:
    """Sweeps of the presets of folders, each curve once."""
    found, known = [], set[str]()
    for folder in folders:
        stamp = folder / "preset.json"
        for sweep in json.loads(stamp.read_text())["sweeps"] if stamp.exists() else []:
            new = converted(sweep)
            curves = settings_by_curve({"sweeps": [new]}, str(stamp)).keys()
            if not curves <= known:
                found.append(new)
            known |= curves
    return found


def main() -> None:
    """Read the old folders and write the new one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path, nargs="+", help="results folders of earlier code")
    parser.add_argument("--out", type=Path, required=True, help="the new folder, made if it is not there")
    given = parser.parse_args()
    runs = {run.key: (run, outcome) for folder in given.old for run, outcome in read(folder)}
    given.out.mkdir(parents=True, exist_ok=True)
    names = ", ".join(folder.name for folder in given.old)
    stamp = {"name": given.out.name, "summary": f"Runs of {names}", "sweeps": sweeps([*given.old, given.out])}
    write_atomically(given.out / "preset.json", json.dumps(stamp, indent=1))
    ResultFolder(given.out).write_tables(list(runs.values()))
    print(f"{len(runs)} runs of {len(given.old)} folders are in {given.out}")


if __name__ == "__main__":
    main()
