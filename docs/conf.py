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
    "sphinx_gallery.gen_gallery",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "claims",
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
exclude_patterns = [
    "_build",
    "examples",
    "sg_execution_times.rst",
    "**/sg_execution_times.rst",
    "**.ipynb_checkpoints",
]

myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
# widgets would bring scripts from elsewhere
nb_ipywidgets_js = {}
nb_execution_mode = "cache"
nb_execution_timeout = 600
nb_execution_raise_on_error = True

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "image_scrapers": ("figures",),
    "reset_modules": ("figures.reset",),
    "within_subsection_order": "figures.order",
    "notebook_extensions": set(),  # myst-nb would take them for pages
    "capture_repr": (),  # what a last line returns is no output
    "only_warn_on_example_error": False,
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "min_reported_time": 1e9,
    "write_computation_times": False,
    "show_signature": False,
}

templates_path = ["_templates"]
autosummary_generate = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_ivar = True
# single back-ticks name objects of this package where they exist, and are plain code otherwise
default_role = "code"
# attributes of one name in several classes: plain code as well
suppress_warnings = ["ref.python"]
