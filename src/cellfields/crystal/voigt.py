"""Symmetric tensors as six numbers, in the order that the whole package uses.

    (s₁, …, s₆) = (s_xx, s_yy, s_zz, s_yz, s_xz, s_xy)                  no factors of two, as for a stress
    ε_yz = ½ γ₄ ,  ε_xz = ½ γ₅ ,  ε_xy = ½ γ₆                             engineering shears of a strain

This is Voigt's order 11, 22, 33, 23, 13, 12, and also ASE's, that of ABINIT's files (11, 22, 33, 32, 31, 21), and that
of the angles of a deformation: θa, θb, θc lie between the lattice vectors (b, c), (a, c), (a, b). The functions index
their argument and do nothing else, so that they take NumPy and JAX arrays alike and may be differentiated.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

Numbers = TypeVar("Numbers")  # a NumPy or JAX array; results are of the argument's type

NAMES = ("xx", "yy", "zz", "yz", "xz", "xy")
VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
"""(i, j) of each of the six components."""

# Four bytes each: JAX confuses indices of eight where its double precision is switched on and off in one process.
ROWS, COLUMNS = np.transpose(VOIGT).astype(np.int32)
PLACES = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]], dtype=np.int32)
"""(3, 3): which of the six components stands at (i, j)."""

TENSOR_FROM_ENGINEERING = np.array([1.0, 1.0, 1.0, 0.5, 0.5, 0.5])
"""(6,): times a strain with engineering shears gives the components of the strain tensor."""


def to_voigt(tensor: Numbers) -> Numbers:
    """Six components (…, 6) of a symmetric tensor (…, 3, 3): no factors of two, as for a stress."""
    full: Any = tensor
    components: Numbers = full[..., ROWS, COLUMNS]
    return components


def from_voigt(components: Numbers) -> Numbers:
    """Symmetric tensor (…, 3, 3) of six components (…, 6): no factors of two."""
    six: Any = components
    tensor: Numbers = six[..., PLACES]
    return tensor


def stiffness_to_voigt(tensor: Numbers) -> Numbers:
    """Constants (…, 6, 6) of a tensor (…, 3, 3, 3, 3) that is symmetric in its first and in its last two indices."""
    full: Any = tensor
    constants: Numbers = full[..., ROWS[:, None], COLUMNS[:, None], ROWS, COLUMNS]
    return constants


def stiffness_from_voigt(constants: Numbers) -> Numbers:
    """Tensor (…, 3, 3, 3, 3) of constants (…, 6, 6): the inverse of :func:`stiffness_to_voigt`."""
    matrix: Any = constants
    tensor: Numbers = matrix[..., PLACES[:, :, None, None], PLACES]
    return tensor
