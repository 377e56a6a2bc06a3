"""The gallery's figures: drawn as vectors, all with the style sheet of these pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

# as they follow from one another; a script that is not named comes last
ORDER = (
    "verdict", "learning_curves", "step_factor", "exponents", "collapse", "context", "layers", "correlation_steps",
    "plateaus", "corpus",
)  # fmt: skip


def scrape(block: Any, variables: Any, settings: Any, **options: Any) -> str:
    """Save the open figures of a script as SVG."""
    from sphinx_gallery.scrapers import matplotlib_scraper

    options.pop("format", None)
    return str(matplotlib_scraper(block, variables, settings, format="svg", **options))


def reset(settings: Any, script: str) -> None:
    """Begin each script with the style sheet, whatever the one before it did."""
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    mpl.use("Agg")
    mpl.rcdefaults()
    plt.style.use("rhmtheory.plotting.house")


def order(script: str) -> tuple[int, str]:
    """Where a script stands in the gallery."""
    name = Path(script).stem.removeprefix("plot_")
    return (ORDER.index(name) if name in ORDER else len(ORDER)), name


def _get_sg_image_scraper() -> Any:  # by this name the gallery finds it
    return scrape
