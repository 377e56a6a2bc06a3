"""Where figures come from."""

import subprocess
from pathlib import Path
from typing import Any


def origin(*packages: str) -> dict[str, Any]:
    """Date, versions, machine and commit of what is measured; the command stands elsewhere, as others type it."""
    from rhmtheory.support.provenance import provenance

    told = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
        check=False,
    )
    found = provenance(("rhmtheory", *packages)) | {"commit": told.stdout.strip()}
    del found["command"]
    return found
