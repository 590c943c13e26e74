"""How Sphinx builds the documentation site; `make docs` runs it, and a warning fails the build.

The site loads nothing from other hosts: the theme brings its styles and scripts and uses the reader's fonts.
"""

from importlib.metadata import version as version_of

project = "Pintuan"
release = version_of("pintuan")
extensions = ["myst_parser", "docs.noun_pages", "docs.openapi_pages"]

myst_enable_extensions = ["attrs_inline"]
# Deep enough for links to any section.
myst_heading_anchors = 4

html_theme = "furo"
html_title = "Pintuan"
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
html_use_index = False
nitpicky = True
