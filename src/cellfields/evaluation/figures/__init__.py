"""The report's figures, one a file: each function takes results and returns a matplotlib ``Figure``.

May import the language, ``evaluation.evaluate`` and matplotlib's object-oriented API. Computing errors, running engines
and pyplot's global state do not belong here.
"""

from cellfields.evaluation.figures.error_vs_strain import error_vs_strain_figure
from cellfields.evaluation.figures.parity import parity_figure
from cellfields.evaluation.figures.position_errors import position_error_figure
from cellfields.evaluation.figures.slices import slice_figure

__all__ = ["error_vs_strain_figure", "parity_figure", "position_error_figure", "slice_figure"]
