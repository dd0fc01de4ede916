"""The FFT grid that ABINIT chooses for a cell, so that a density can be written on it before ABINIT runs.

    smallest |G| on the faces m_i = ±⌊n_i/2⌋ of the box  ≥  b √(2 E_cut) ,   n_i = 2^p 3^q 5^r ,   b = boxcutmin = 2

The box grows from 2 × 2 × 2, each time along the axis whose face holds that G. An odd n counts as the even one below
it. The user's grid is taken if ABINIT's FFT has its sizes and it is at least three quarters of this one, else it
is ignored. Checked against ABINIT 9.6.2 (tests/engines/abinit/test_fft_grid.py).
"""

from __future__ import annotations

import numpy as np

from cellfields._typing import FloatArray

_BOX = 2.0  # boxcutmin
_SMALLEST = 0.75  # of ABINIT's choice: a smaller grid from the user is ignored
_LARGEST = 2**15
_SIZES = sorted(
    size for p in range(16) for q in range(7) for r in range(7) if 1 < (size := 2**p * 3**q * 5**r) <= _LARGEST
)


def abinit_grid(lattice: FloatArray, cutoff: float, given: tuple[int, int, int] | None = None) -> tuple[int, int, int]:
    """Numbers of points (n1, n2, n3) of ABINIT's FFT grid.

    Args:
        lattice: (3, 3) rows of the cell in ABINIT's input, Bohr.
        cutoff: ``ecut``, Hartree.
        given: ``ngfft``, if the input has it.
    """
    reciprocal = np.asarray(2 * np.pi * np.linalg.inv(lattice).T, dtype=float)
    least_norm = 2 * _BOX**2 * cutoff  # |G|², 1/Bohr²
    shape = [2, 2, 2]
    while True:
        nearest = [_nearest_on_face(reciprocal, shape, axis) for axis in range(3)]
        axis = int(np.argmin(nearest))
        if nearest[axis] >= least_norm:
            break
        shape[axis] = next(size for size in _SIZES if size > shape[axis])
    if given is not None and all(int(n / _SMALLEST) >= m and n in _SIZES for n, m in zip(given, shape, strict=True)):
        return given
    return shape[0], shape[1], shape[2]


def _nearest_on_face(reciprocal: FloatArray, shape: list[int], axis: int) -> float:
    """Smallest |G|² with m_axis = ⌊n_axis/2⌋ in the box (the face beyond the origin mirrors it)."""
    ranges = [np.arange(-(n // 2), n // 2 + 1) for n in shape]
    ranges[axis] = np.array([shape[axis] // 2])
    m = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)
    return float(((m @ reciprocal) ** 2).sum(axis=1).min())
