"""The figures, one in each file: each function takes results and returns a matplotlib ``Figure``.

The functions compute no errors, run no engines, and do not use pyplot, whose figures are global state.
"""

from cellfields.evaluation.figures.energy_routes import energy_routes_figure
from cellfields.evaluation.figures.error_vs_strain import error_vs_strain_figure
from cellfields.evaluation.figures.learning_curve import learning_curve_figure
from cellfields.evaluation.figures.parity import parity_figure
from cellfields.evaluation.figures.position_errors import position_error_figure
from cellfields.evaluation.figures.slices import slice_figure
from cellfields.evaluation.figures.snapshots import snapshot_figure
from cellfields.evaluation.figures.stress_strain import uniaxial_figure
from cellfields.evaluation.figures.youngs_modulus import youngs_modulus_figure

__all__ = [
    "energy_routes_figure",
    "error_vs_strain_figure",
    "learning_curve_figure",
    "parity_figure",
    "position_error_figure",
    "slice_figure",
    "snapshot_figure",
    "uniaxial_figure",
    "youngs_modulus_figure",
]
