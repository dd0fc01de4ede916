"""How many bands a calculation needs, and whether filled bands are an insulator's.

filled = ⌈N/2⌉          bands = filled + 1 (no smearing)   or   filled + max(3, filled/3) (smearing)
gap = min_k E_{filled+1}(k) − max_k E_{filled}(k) > 0      is required without smearing
"""

from __future__ import annotations

import numpy as np

from cellfields._typing import FloatArray
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.errors import InputError

EMPTY = 1e-10  # occupation below which a band counts as empty and need not converge


def starting_bands(settings: PlaneWaveSettings, electrons: float) -> int:
    """Bands a k point that a calculation begins with; it adds more where the highest of them is not empty.

    Args:
        settings: ``bands`` is taken where it is given, and ``smearing`` decides how many are wanted otherwise.
        electrons: of the primitive cell.
    """
    filled = int(np.ceil(electrons / 2 - 1e-9))
    if settings.smearing == "none":  # one empty band shows the gap, or that there is none
        wanted = filled + 1 if settings.bands is None else settings.bands
        return wanted if wanted < filled else max(wanted, filled + 1)
    return settings.bands or filled + max(3, filled // 3)


def has_enough_bands(settings: PlaneWaveSettings, per_state: FloatArray) -> bool:
    """Whether the highest band is empty at every k point, where the engine is to find that out.

    Args:
        settings: a given number of ``bands`` is never questioned, nor is the one that filled bands need.
        per_state: (K, n) electrons in each state.
    """
    if settings.bands is not None or settings.smearing == "none":
        return True
    return bool(np.abs(per_state[:, -1]).max() <= EMPTY)


def band_overlap(energies: FloatArray, electrons: float) -> float:
    """Highest filled minus lowest empty energy, Hartree: minus the gap of an insulator, positive for a metal.

    Args:
        energies: (K, n) ascending, with at least one empty band.
        electrons: of the primitive cell, even.
    """
    filled = round(electrons / 2)
    return float(energies[:, filled - 1].max() - energies[:, filled].min())


def metal_without_smearing(overlap: float) -> InputError:
    """The refusal of a crystal whose bands overlap by ``overlap`` (Hartree) and that was given no smearing."""
    return InputError(
        f'smearing = "none" is for insulators, but the bands overlap by {overlap:.4f} Hartree; choose "cold", '
        '"fermi-dirac" or "gaussian"'
    )
