"""Measures how smooth the energy is in strain at a fixed cutoff, and whether the stress is its derivative.

    roughness = max_i |F(s_i) − P₃(s_i)| / N           P₃: of third degree, through F at seven isotropic strains
    mismatch  = tr σ/3 − dF/dV at the reference cell   dF/dV: of the same polynomial

At a fixed cutoff plane waves come and go as the cell deforms: F jumps, and the stress, which belongs to a fixed set of
plane waves, is not its derivative (Pulay stress). Both vanish where the spheres of plane waves end smoothly
(``engine.cutoff_smoothing``); in exchange plane waves below the cutoff weigh less. The widths are compared at the
study's own cutoff and k mesh, with atoms held at their reference coordinates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.polynomial import Polynomial

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.contract import FirstPrinciplesEngine, PlaneWaveCode
from cellfields.errors import ConvergenceError, InputError
from cellfields.evaluation._points import KeptPoints
from cellfields.units import GPA

FRACTIONS = (0.0, 0.05, 0.1, 0.2)  # of the cutoff
STRAINS = tuple(float(x) for x in np.linspace(-0.015, 0.015, 7))
MISMATCH_GPA = 1.0  # that a stress may differ from the derivative of the energy
_DEGREE = 3


@dataclass(frozen=True)
class SmoothnessRung:
    """One width of the smoothing.

    Attributes:
        width: ``cutoff_smoothing``, Hartree.
        roughness: largest deviation of F from a smooth curve, Hartree an atom; None where it could not be solved.
        mismatch: tr σ/3 − dF/dV at the reference cell, Hartree/Bohr³; None where it could not be solved.
        seconds: CPU time of its solves.
        reason: why it could not be solved, or empty.
    """

    width: float
    roughness: float | None
    mismatch: float | None
    seconds: float
    reason: str = ""


@dataclass(frozen=True)
class Smoothness:
    """Widths of the smoothing at the settings of a study.

    Attributes:
        settings: the study's settings.
        rungs: from the sharp sphere to the widest.
    """

    settings: PlaneWaveSettings
    rungs: tuple[SmoothnessRung, ...]

    def recommend(self, tolerance: float) -> SmoothnessRung | None:
        """The narrowest width with a roughness below the tolerance and a stress within 1 GPa of dF/dV, or None.

        Args:
            tolerance: of the roughness, Hartree an atom.
        """
        for rung in self.rungs:
            if rung.roughness is None or rung.mismatch is None:
                continue
            if rung.roughness <= tolerance and abs(rung.mismatch) * GPA <= MISMATCH_GPA:
                return rung
        return None

    def to_dict(self) -> list[dict[str, Any]]:
        """Plain JSON data, in atomic units."""
        return [asdict(rung) for rung in self.rungs]


def smoothness_widths(engine: FirstPrinciplesEngine, settings: PlaneWaveSettings) -> tuple[float, ...]:
    """Widths to compare (Hartree), the study's own among them; none for an engine
    without plane waves, or with a reduced basis, which lives in a union of spheres.

    Args:
        engine: with the study's settings.
        settings: of the study.
    """
    if not isinstance(engine, PlaneWaveCode) or engine.reduced or settings.plane_waves != "k_sphere":
        return ()
    widths = {float(f"{fraction * settings.cutoff:.3g}") for fraction in FRACTIONS}
    return tuple(sorted(widths | {settings.cutoff_smoothing}))


def smoothness(
    crystal: Crystal,
    settings: PlaneWaveSettings,
    make_engine: Callable[[PlaneWaveSettings], FirstPrinciplesEngine],
    widths: Sequence[float],
    *,
    folder: Path | None = None,
    on_point: Callable[[int, int], object] | None = None,
) -> Smoothness:
    """Solve seven isotropic strains for each width.

    Args:
        crystal: reference crystal.
        settings: the study's settings.
        make_engine: settings → first-principles engine of the crystal.
        widths: to compare, Hartree (:func:`smoothness_widths`).
        folder: finished solves are written to it and read from it; None keeps nothing.
        on_point: called with the number of solves that are done and the number of all.
    """
    kept, angles = KeptPoints(folder), Deformation.identity(crystal).angles
    total, rungs = len(widths) * len(STRAINS), []
    for index, width in enumerate(widths):
        engine = make_engine(settings.model_copy(update={"basis": "full", "cutoff_smoothing": width}))
        energies, pressure, seconds = [], 0.0, 0.0
        try:
            for count, strain in enumerate(STRAINS, 1):
                point = kept.solve(engine, Deformation((1 + strain,) * 3, angles))
                energies.append(point.free_energy)
                seconds += point.seconds
                if strain == 0:
                    pressure = float(np.trace(np.array(point.stress))) / 3
                if on_point is not None:
                    on_point(index * len(STRAINS) + count, total)
        except (ConvergenceError, InputError) as error:
            rungs.append(SmoothnessRung(width, None, None, seconds, " ".join(str(error).split())))
            continue
        curve = Polynomial.fit(STRAINS, energies, _DEGREE)
        roughness = float(np.abs(curve(np.array(STRAINS)) - energies).max()) / crystal.n_atoms
        slope = float(curve.deriv()(0.0)) / (3 * crystal.volume_ref)
        rungs.append(SmoothnessRung(width, roughness, pressure - slope, seconds))
    return Smoothness(settings, tuple(rungs))
