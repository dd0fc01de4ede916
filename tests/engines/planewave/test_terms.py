"""Each energy term: its value against an independent formula, its derivatives against finite differences.

Derivatives are taken at fixed orbitals and fixed V ρ(G), where every term is a smooth closed formula. Four-point
differences then agree to about 1e-9 of the term's curvature scale; the tolerances leave a factor of ten.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import erfc

from cellfields.engines.planewave.basis import PlaneWaveBasis
from cellfields.engines.planewave.hamiltonian import KohnShamProblem
from cellfields.engines.planewave.kpoints import KMesh
from cellfields.engines.planewave.scf import GroundState
from cellfields.engines.planewave.terms import core, hartree, kinetic, local, nonlocal_, xc
from tests.engines.planewave.problems import STRAIN_PATTERNS, four_point, moved, strained

# -- the six terms of a real solution, Mg2Si: two species, an atom on the inversion centre and a pair ----------------


def kinetic_energy(problem: KohnShamProblem, ground: GroundState) -> float:
    return sum(
        kinetic.energy(b.kinetic, x, w)
        for b, x, w in zip(problem.blocks, ground.orbitals.vectors, ground.occupations.weights, strict=True)
    )


def nonlocal_energy(problem: KohnShamProblem, ground: GroundState) -> float:
    return sum(
        b.projectors.energy(x, w)
        for b, x, w in zip(problem.blocks, ground.orbitals.vectors, ground.occupations.weights, strict=True)
    )


def density_of(problem: KohnShamProblem, ground: GroundState) -> np.ndarray:
    """The density of the same electrons in a cell of another volume."""
    return ground.density * (ground.problem.basis.volume / problem.basis.volume)


ENERGIES: dict[str, Callable[[KohnShamProblem, GroundState], float]] = {
    "kinetic": kinetic_energy,
    "hartree": lambda p, g: hartree.energy(p.basis, density_of(p, g)),
    "xc": lambda p, g: xc.energy_and_potential(p.basis, density_of(p, g))[0],
    "local": lambda p, g: local.energy(p.basis, density_of(p, g), p.local_potential),
    "nonlocal": nonlocal_energy,
    "ewald": lambda p, g: p.ewald.energy,
    "core": lambda p, g: p.core_energy,
}


def strain_derivative(name: str, ground: GroundState) -> np.ndarray:
    problem = ground.problem
    geometry, basis = problem.geometry, problem.basis
    if name in ("kinetic", "nonlocal"):
        total = np.zeros((3, 3))
        for m, b, x, w in zip(
            basis.wave_m, problem.blocks, ground.orbitals.vectors, ground.occupations.weights, strict=True
        ):
            total += (
                kinetic.stress(b.q, b.kinetic_slopes, x, w)
                if name == "kinetic"
                else nonlocal_.stress(geometry, m, b.q, x, w)
            )
        return total
    return {
        "hartree": lambda: hartree.stress(basis, ground.density),
        "xc": lambda: xc.stress(basis, ground.density),
        "local": lambda: local.stress(geometry, basis, ground.density),
        "ewald": lambda: problem.ewald.stress,
        "core": lambda: core.stress(geometry, problem.electrons),
    }[name]()


@pytest.mark.parametrize("name", ENERGIES)
def test_strain_derivative_of_each_term(name: str, silicide_ground: GroundState) -> None:
    energy, analytic = ENERGIES[name], strain_derivative(name, silicide_ground)
    assert np.abs(analytic).max() > 1e-4  # there is something to compare
    for pattern in STRAIN_PATTERNS:
        numeric = four_point(lambda t, p=pattern: energy(strained(silicide_ground.problem, t * p), silicide_ground))
        assert abs(numeric - (analytic * pattern).sum()) < 1e-8


def test_every_strain_derivative_is_symmetric(silicide_ground: GroundState) -> None:
    """Rotations cost nothing, so ∂E/∂η has no antisymmetric part, term by term."""
    for name in ENERGIES:
        tensor = strain_derivative(name, silicide_ground)
        assert np.abs(tensor - tensor.T).max() < 1e-11, name


@pytest.mark.parametrize("name", ["local", "nonlocal", "ewald"])
def test_force_of_each_term(name: str, silicide_ground: GroundState) -> None:
    ground, problem = silicide_ground, silicide_ground.problem
    geometry, basis = problem.geometry, problem.basis
    if name == "nonlocal":
        forces = np.zeros((3, 3))
        for m, b, x, w in zip(
            basis.wave_m, problem.blocks, ground.orbitals.vectors, ground.occupations.weights, strict=True
        ):
            forces += nonlocal_.forces(geometry, m, b.q, x, w)
    else:
        forces = problem.ewald.forces if name == "ewald" else local.forces(geometry, basis, ground.density)
    assert np.abs(forces).max() > 1e-3
    atom = int(np.flatnonzero(geometry.partners != np.arange(3))[0])
    partner = geometry.partners[atom]
    assert np.abs(forces[atom] + forces[partner]).max() < 1e-12
    assert np.abs(forces[geometry.partners == np.arange(3)]).max() < 1e-12  # the atom on the centre feels none
    for axis in np.eye(3):
        numeric = four_point(lambda t, a=axis: ENERGIES[name](moved(problem, atom, t * a), ground))
        assert abs(numeric + 2 * forces[atom] @ axis) < 1e-8  # both atoms of the pair move


# -- Hartree ------------------------------------------------------------------------------------------------------


def test_hartree_solves_poisson_and_its_energy_is_half_the_interaction(silicide_ground: GroundState) -> None:
    basis, density = silicide_ground.problem.basis, silicide_ground.density
    potential = hartree.potential(basis, density)
    assert potential[0] == 0
    assert np.allclose(basis.density_g2[1:] * potential[1:], 4 * np.pi * density[1:], rtol=1e-13)
    # ½∫ρ V_H on the grid, which resolves the product of two functions of the density sphere only in its mean.
    on_grid = 0.5 * basis.volume * np.mean(basis.to_real(density) * basis.to_real(potential))
    assert np.isclose(hartree.energy(basis, density), on_grid, rtol=1e-12)


def test_hartree_of_a_gaussian_charge() -> None:
    """A unit charge (α/π)^{3/2} e^{−αr²} alone in a large cubic cell of edge L.

    Isolated it has √(α/2π). The images and the neutralising background add −2.837297/2L, the Madelung energy of a point
    charge, and 2π⟨r²⟩/3L³ with ⟨r²⟩ = 3/2α, what the background does to the charge's width.
    """
    alpha, edge = 2.0, 12.0
    m = np.stack(np.meshgrid(*[np.arange(-20, 21)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    m = m[np.argsort((m**2).sum(axis=1), kind="stable")]
    g2 = (m**2).sum(axis=1) * (2 * np.pi / edge) ** 2
    inverse = np.concatenate([[0], 1 / g2[1:]])
    basis = SimpleNamespace(volume=edge**3, inverse_g2=inverse)
    density = np.exp(-g2 / (4 * alpha)) / edge**3
    isolated = np.sqrt(alpha / (2 * np.pi))
    second_moment = 2 * np.pi / 3 * (3 / (2 * alpha)) / edge**3
    assert abs(hartree.energy(basis, density) - (isolated - 2.837297 / (2 * edge) + second_moment)) < 1e-7


# -- local pseudopotential ----------------------------------------------------------------------------------------


def test_local_potential_is_the_lattice_sum_of_ions(silicide_ground: GroundState) -> None:
    """V_loc(r) from the ions' v_loc(r) in real space, against the sum over G, at a few points.

    Adding 4πZ e^{−G²/4a}/G² to v(G) leaves a short-ranged function of r: v_loc(r) + Z erf(√a r)/r.
    """
    geometry = silicide_ground.problem.geometry
    # 160 Ha: e^{−(G r_loc)²/2} is 3e-14 at the edge, so both sums are complete.
    mesh = KMesh.folded((1, 1, 1), np.eye(3))
    basis = PlaneWaveBasis.build(geometry, mesh, 40.0)
    a = 0.5
    screened, mean = local.potential(geometry, basis), 0.0
    for symbol, position in zip(geometry.species, geometry.positions, strict=True):
        ion = geometry.pseudopotentials[symbol]
        structure = np.cos(2 * np.pi * basis.density_m @ position) / geometry.volume
        screened += structure * 4 * np.pi * ion.valence * np.exp(-basis.density_g2 / (4 * a)) * basis.inverse_g2
        # ∫ (v_loc(r) + Z erf(√a r)/r) d³r = α − πZ/a
        mean += (ion.local_average() - np.pi * ion.valence / a) / geometry.volume
    cells = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    for x in np.random.default_rng(0).uniform(size=(6, 3)):
        total = 0.0
        for symbol, position in zip(geometry.species, geometry.positions, strict=True):
            ion = geometry.pseudopotentials[symbol]
            r = np.linalg.norm((x - position + cells) @ geometry.lattice, axis=1)
            coulomb = -ion.valence / r * (erfc(np.sqrt(a) * r) - erfc(r / (np.sqrt(2) * ion.radius)))
            total += float((coulomb + ion.coefficients[0] * np.exp(-0.5 * (r / ion.radius) ** 2)).sum())
        waves = np.cos(2 * np.pi * basis.density_m @ x) @ screened
        assert abs(total - waves - mean) < 1e-9
