"""Rewrite results of the layout in which training settings held width, heads and depth of the network.

`python convert_runs.py FOLDER...` rewrites preset.json, every .jsonl of runs, and runs/*.json under new names.
"""

import json
import sys
from pathlib import Path
from typing import Any

from rhmtheory.support.files import write_atomically
from rhmvalidation.studies.folder import parse_run

OF_THE_NETWORK = {"width": None, "heads": 1, "depth": None}


def converted(content: dict[str, Any]) -> dict[str, Any]:
    """A run or a sweep whose network is name and arguments; one that is so already stays."""
    if isinstance(content.get("network"), dict):
        return content
    settings = dict(content["settings"])
    given = {name: settings.pop(name, default) for name, default in OF_THE_NETWORK.items()}
    arguments = {name: value for name, value in given.items() if value != OF_THE_NETWORK[name]}
    arguments |= dict(content.get("arguments", []))
    out = {name: value for name, value in content.items() if name != "arguments"}
    return out | {"network": {"name": content["network"], "arguments": arguments}, "settings": settings}


def convert_line(text: str) -> str:
    """One line of a .jsonl of runs; any other line stays."""
    content = json.loads(text)
    if not (isinstance(content, dict) and set(content) >= {"run", "outcome"}):
        return text
    return json.dumps({**content, "run": converted(content["run"])})


def main(*folders: str) -> None:
    """Rewrite folders in place."""
    for folder in map(Path, folders):
        stamp = folder / "preset.json"
        if stamp.exists():
            content = json.loads(stamp.read_text())
            content["sweeps"] = [converted(sweep) for sweep in content["sweeps"]]
            write_atomically(stamp, json.dumps(content, indent=1))
        for path in folder.glob("*.jsonl"):
            lines = path.read_text().splitlines()
            write_atomically(path, "".join(convert_line(line) + "\n" for line in lines))
        for path in (folder / "runs").glob("*.json"):
            text = convert_line(path.read_text())
            run, _ = parse_run(text, str(path))
            write_atomically(path.with_name(f"{run.key}.json"), text)
            if path.stem != run.key:
                path.unlink()


if __name__ == "__main__":
    main(*sys.argv[1:])
