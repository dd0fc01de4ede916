"""Array types used in signatures; shapes stand in the docstrings."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
ComplexArray = NDArray[np.complex128]
Array = NDArray[Any]
Coefficients = NDArray[Any]  # Fourier coefficients: real numbers where there is an inversion centre, else complex ones
