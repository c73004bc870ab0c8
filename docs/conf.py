"""How Sphinx reads the pages that ``docs/__main__.py`` lays out; `make docs` runs it."""

import re
from typing import Any

from pygments.lexers.special import TextLexer

project = "hqre_jax"
author = "hqre_jax contributors"
copyright = author

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
]
html_theme = "furo"
html_title = "hqre_jax"
html_show_copyright = False
html_static_path = ["static"]
html_css_files = ["site.css"]

# Pages are Markdown, notebooks are Python files with cells; both may hold mathematics between dollars.
source_suffix = {".md": "myst-nb", ".py": "myst-nb"}
exclude_patterns = ["scripts"]  # shown on pages as they are
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

# Notebooks run once, from top to bottom, in an empty folder. An error ends the build, and so does anything
# that a reader would see on stderr.
nb_custom_formats = {".py": ["jupytext.reads", {"fmt": "py:percent"}]}
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_merge_streams = True
nb_output_stderr = "error"
nb_execution_show_tb = True

# Docstrings: Google's sections, `name` is a reference to what is public, ``code`` is code.
default_role = "py:obj"
toc_object_entries = False  # names have headings; their members would make every page's navigation long
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
maximum_signature_line_length = 100
napoleon_numpy_docstring = False
napoleon_attr_annotations = False
napoleon_use_rtype = False

# In prose every reference must lead somewhere. Types in signatures are mostly those of other libraries.
nitpick_ignore_regex = [("py:(class|meth|data|attr|exc)", r".*")]


def _public_name(app: Any, environment: Any, node: Any, content: Any) -> Any:
    """Where a bare name leads that is public in another room: the one of `hqre_jax` itself, else the only one."""
    if node.get("refdomain") != "py":
        return None
    if not re.fullmatch(r"[\w.]+", node["reftarget"]):
        return content  # no name but a piece of code
    domain = environment.domains.python_domain
    ending = f".{node['reftarget']}"
    # An object is known under the name of its module too; both lead to one place.
    meanings = {(known.docname, known.node_id): name for name, known in domain.objects.items() if name.endswith(ending)}
    top = f"hqre_jax{ending}"
    if len(meanings) != 1 and top not in domain.objects:
        return None
    name = top if top in domain.objects else next(iter(meanings.values()))
    return domain.resolve_xref(environment, node["refdoc"], app.builder, "obj", name, node, content)


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("missing-reference", _public_name)
    app.add_lexer("csv", TextLexer)
