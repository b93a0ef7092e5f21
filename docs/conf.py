"""Sphinx's settings of the documentation site, which `docs/build.py` builds."""

import sys
from pathlib import Path

from sphinx_gallery.sorting import ExplicitOrder

import hhplug

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS / "extensions"))

project = "hhplug"
author = "The hhplug developers"
project_copyright = "the hhplug developers"
version = release = hhplug.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "sphinxarg.ext",
    # Ours, in docs/extensions:
    "docstrings",
    "mathml",
    "repository_pages",
    "tables",
]
exclude_patterns = [
    "requirements.txt",
    "site",
    ".doctrees",
    "tutorials",
    "**/README.md",
    "**.ipynb",
]
smartquotes = False  # --current would become –current, which nobody can copy
nitpicky = False  # types of NumPy and of the standard library are not linked, for want of a network
copybutton_prompt_text = r">>> |\.\.\. "  # an example is copied without what Python prints
copybutton_prompt_is_regexp = True
default_role = "py:obj"  # docstrings put names in single backticks; unknown ones are shown as code

suppress_warnings = ["myst.domains"]  # sphinx-argparse's domain has no names that Markdown links to

myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3

autodoc_typehints = "none"  # docstrings say it in words; NumPy's ArrayLike has a page of its own
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
maximum_signature_line_length = 88
add_module_names = False
toc_object_entries_show_parents = "hide"
viewcode_line_numbers = True

sphinx_gallery_conf = {
    "examples_dirs": "tutorials",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "within_subsection_order": ExplicitOrder(
        [
            "action_potential.py",
            "fi_curve.py",
            "refractoriness.py",
            "resonance.py",
            "strength_duration.py",
            "own_membrane.py",
            "noise_reliability.py",
            "fit_conductances.py",
            "sweep_in_xarray.py",
            "features.py",
            "inference.py",
            "larger_than_memory.py",
            "many_machines.py",
        ]
    ),
    "abort_on_example_error": True,
    "only_warn_on_example_error": False,
    "image_scrapers": ("figures.figures",),
    "capture_repr": ("_repr_html_", "__repr__"),
    "ignore_repr_types": r"matplotlib|hhplug\.figure|list|numpy",
    "min_reported_time": 1e9,  # a page built anew without a change stays the same
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
    "download_all_examples": True,
    "remove_config_comments": True,
    "matplotlib_animations": False,
    "plot_gallery": True,
    "default_thumb_file": str(DOCS / "noise.png"),
}

html_theme = "pydata_sphinx_theme"
html_title = "hhplug"
html_static_path = ["static"]
html_favicon = "static/icon.svg"
html_css_files = ["hhplug.css"]
ALONE = ("write-a-backend", "how-it-works", "validation", "speed", "contributing", "changes")
html_sidebars = {page: [] for page in ALONE}  # no other pages are listed beside these
html_show_sourcelink = False
html_copy_source = False
html_context = {"default_mode": "auto"}
html_theme_options = {
    "logo": {"text": "hhplug"},
    "navbar_align": "left",
    "navbar_persistent": ["search-button"],
    "header_links_before_dropdown": 8,
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_center": [],
    "footer_end": [],
    "show_prev_next": True,
    "pygments_light_style": "a11y-high-contrast-light",
}
