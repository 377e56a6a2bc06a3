"""Where figures come from."""

import subprocess
from pathlib import Path


def commit() -> dict[str, str]:
    """The commit of the working tree that is measured."""
    told = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
        check=False,
    )
    return {"commit": told.stdout.strip()}
