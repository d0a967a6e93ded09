"""Settings of the documentation; built with warnings as errors."""

from __future__ import annotations

project = "E2S"
author = "the E2S maintainers"
copyright = "2026, the E2S maintainers"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["model/**"]
html_theme = "furo"
html_title = "E2S"
html_show_sphinx = False
html_copy_source = False
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
nitpicky = True
