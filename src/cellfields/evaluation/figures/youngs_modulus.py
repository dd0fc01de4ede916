"""Young's modulus E(n) in every direction n, as a surface whose distance from the origin is E(n)."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from cellfields._typing import FloatArray
from cellfields.evaluation.figures.style import new_figure, styled
from cellfields.mechanics.moduli import youngs_modulus
from cellfields.units import GPA

_POLAR, _AROUND = 61, 121  # numbers of polar and azimuthal angles


@styled
def youngs_modulus_figure(constants: FloatArray) -> Figure:
    """Draw the surface in GPa, from elastic constants (6, 6) in Hartree/Bohr³.

    Raises:
        InputError: the constants are singular.
    """
    polar, around = np.meshgrid(np.linspace(0, np.pi, _POLAR), np.linspace(0, 2 * np.pi, _AROUND), indexing="ij")
    directions = np.stack([np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], axis=-1)
    modulus = youngs_modulus(constants, directions) * GPA
    scale = Normalize(float(modulus.min()), float(modulus.max()))
    figure, axes = new_figure(1, 1, width=6.4, height=5.4, subplot_kw={"projection": "3d"})
    axis: Any = axes[0]  # the methods of three-dimensional axes are not declared
    colours = colormaps["viridis"](scale(modulus))
    axis.plot_surface(
        *np.moveaxis(modulus[..., None] * directions, -1, 0), facecolors=colours, rstride=1, cstride=1, shade=False
    )
    reach = float(np.abs(modulus).max())
    axis.set(xlim=(-reach, reach), ylim=(-reach, reach), zlim=(-reach, reach), xlabel="x", ylabel="y", zlabel="z")
    axis.set_box_aspect((1, 1, 1))
    bar = figure.colorbar(ScalarMappable(scale, "viridis"), ax=axis, shrink=0.7, pad=0.12)
    bar.set_label("Young's modulus (GPa)")
    axis.set_title(f"Young's modulus, {modulus.min():.1f} … {modulus.max():.1f} GPa")
    return figure
