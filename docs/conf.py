"""Sphinx configuration."""

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

sys.path.insert(
    0, str(Path(__file__).parents[1] / "validation")
)  # documented, even where only the theory is installed
sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "rhmtheory"
author = "The rhmtheory developers"
copyright = "2026, The rhmtheory developers"
release = installed_version("rhmtheory")
version = release

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "house",
    "mathml",
    "offline",
]
html_math_renderer = "mathml"
html_theme = "furo"
html_title = "rhmtheory"
# pages that are finished as they are: the explorer
html_extra_path = ["_extra"]
html_static_path = ["_static"]
html_css_files = ["site.css"]
exclude_patterns = ["_build", "**.ipynb_checkpoints"]

myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
# widgets would bring scripts from elsewhere
nb_ipywidgets_js = {}
nb_execution_mode = "cache"
nb_execution_timeout = 600
nb_execution_raise_on_error = True

templates_path = ["_templates"]
autosummary_generate = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_ivar = True
# single back-ticks name objects of this package where they exist, and are plain code otherwise
default_role = "code"
