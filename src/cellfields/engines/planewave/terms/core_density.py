"""Core density of the non-linear core correction on the FFT grid:  ρ_c(r) = Σ_a Σ_R ρ_a(|r − τ_a − R|).

It is summed in real space and not cut off in Fourier space (as ABINIT does by default), so that its derivatives with
respect to ions and strain are those of one finite sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cellfields._typing import FloatArray, IntArray
from cellfields.dft.pseudopotential import CoreCharge
from cellfields.engines.planewave.basis import PlaneWaveBasis
from cellfields.engines.planewave.geometry import Geometry

_AT_NUCLEUS = 1e-10  # Bohr


@dataclass(frozen=True, eq=False)
class _Neighbourhood:
    """Grid points within the core radius of one ion.

    Attributes:
        atom: index of the ion.
        charge: its core density.
        index: (P,) flat grid index, which may repeat in a small cell.
        vectors: (P, 3) from the ion to the point, Bohr.
        distances: (P,) lengths of the vectors, Bohr.
    """

    atom: int
    charge: CoreCharge
    index: IntArray
    vectors: FloatArray
    distances: FloatArray

    def gradient(self) -> FloatArray:
        """Gradient ∂ρ_a/∂r (P, 3) of the ion's core density at the points."""
        slope = self.charge.slope(self.distances)
        return np.asarray((slope / np.maximum(self.distances, _AT_NUCLEUS))[:, None] * self.vectors)


def density(geometry: Geometry, basis: PlaneWaveBasis) -> FloatArray | None:
    """Core density ρ_c (N,) on the grid, electrons/Bohr³, or None where no ion has a core."""
    if all(geometry.pseudopotentials[s].core_charge is None for s in geometry.species):
        return None
    total = np.zeros(basis.grid_size)
    for near in _neighbourhoods(geometry, basis):
        total += np.bincount(near.index, weights=near.charge(near.distances), minlength=basis.grid_size)
    return total


def forces(geometry: Geometry, basis: PlaneWaveBasis, potential: FloatArray) -> FloatArray:
    """Forces (n, 3) of a potential V (N,) on the ions' cores, Hartree/Bohr:  −∫ V ∂ρ_c/∂R_a = ∫ V ∂ρ_a/∂r."""
    result = np.zeros((len(geometry.species), 3))
    for near in _neighbourhoods(geometry, basis):
        result[near.atom] = potential[near.index] @ near.gradient()
    return result * (geometry.volume / basis.grid_size)


def strain_derivative(geometry: Geometry, basis: PlaneWaveBasis, potential: FloatArray) -> FloatArray:
    """Integral ∫ V ∂ρ_c/∂η (3, 3), Hartree, for V (N,) on the grid, where points and ions move with the strain."""
    tensor = np.zeros((3, 3))
    for near in _neighbourhoods(geometry, basis):
        tensor += (potential[near.index, None] * near.gradient()).T @ near.vectors
    return tensor * (geometry.volume / basis.grid_size)


def _neighbourhoods(geometry: Geometry, basis: PlaneWaveBasis) -> Iterator[_Neighbourhood]:
    shape = np.array(basis.shape)
    reach = np.linalg.norm(np.linalg.inv(geometry.lattice), axis=0)  # of a unit sphere, in fractional coordinates
    for atom, (symbol, centre) in enumerate(zip(geometry.species, geometry.positions, strict=True)):
        charge = geometry.pseudopotentials[symbol].core_charge
        if charge is None:
            continue
        low = np.ceil((centre - charge.radius * reach) * shape).astype(int)
        high = np.floor((centre + charge.radius * reach) * shape).astype(int)
        axes = [np.arange(a, b + 1) for a, b in zip(low, high, strict=True)]
        offsets = [
            (axis / n - c)[:, None] * row for axis, n, c, row in zip(axes, shape, centre, geometry.lattice, strict=True)
        ]
        vectors = offsets[0][:, None, None] + offsets[1][None, :, None] + offsets[2][None, None, :]
        distances = np.sqrt(np.einsum("xyzi,xyzi->xyz", vectors, vectors))
        inside = distances < charge.radius
        points = np.stack(np.nonzero(inside), axis=1) + low
        yield _Neighbourhood(atom, charge, basis.flat_index(points), vectors[inside], distances[inside])
