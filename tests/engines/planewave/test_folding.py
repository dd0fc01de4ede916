"""The same crystal told in different cells: folded or not, primitive or conventional. The numbers must not change.

E_xc is not band-limited, so it sees the FFT grid, and different cells have different grids: on the default grids the
energies differ by some 1e-8 Ha. Grids two to three times as fine leave 1e-11 or less; then 1e-10 tests the folding.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from ase.build import bulk

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.dft.pseudopotential import builtin_pseudopotential
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.planewave import PlaneWaveEngine, observables
from cellfields.engines.planewave.basis import PlaneWaveBasis
from cellfields.engines.planewave.geometry import Geometry
from cellfields.engines.planewave.hamiltonian import KohnShamProblem
from cellfields.engines.planewave.kpoints import KMesh
from cellfields.state import CellState
from tests.engines.planewave.problems import MG_INTERNAL, STRAIN, ground_state
from tests.toy import magnesium


def evaluate(crystal: Crystal, strain: Deformation, positions: np.ndarray, **settings) -> CellState:
    made = PlaneWaveSettings(basis="full", scf_tolerance=1e-13, smearing_width=0.02, **{"smearing": "cold", **settings})
    return PlaneWaveEngine(crystal, made).evaluate(strain, crystal.internal(positions))


def test_folded_magnesium_equals_the_four_atom_cell() -> None:
    """Two atoms at twice the k points against four atoms as given: every number of the state."""
    folded = magnesium()
    plain = Crystal(folded.lattice_ref, folded.species, folded.positions_ref, symmetry=False)
    assert (folded.n_translations, plain.n_translations) == (2, 1)
    positions, strain = folded.positions(MG_INTERNAL), Deformation.from_array(STRAIN)
    one = evaluate(folded, strain, positions, cutoff=4, kmesh=(2, 1, 1), fft_grid=(30, 36, 54))
    other = evaluate(plain, strain, positions, cutoff=4, kmesh=(2, 1, 1), fft_grid=(30, 54, 54))
    assert one.provenance["k_points"] == 3 and other.provenance["k_points"] == 2
    assert abs(one.free_energy - other.free_energy) < 1e-10
    assert one.energy_terms.keys() == other.energy_terms.keys()
    assert abs(one.energy_terms["ewald"] - other.energy_terms["ewald"]) < 1e-11
    # First order in the density, which is converged to 6e-8 in the Coulomb norm.
    for quantity in ("band_energy", "entropic_energy", "fermi_energy"):
        assert abs(getattr(one, quantity) - getattr(other, quantity)) < 1e-8
    for term, value in one.energy_terms.items():
        assert abs(value - other.energy_terms[term]) < 1e-7, term
    assert np.abs(one.positions - other.positions).max() < 1e-13
    assert np.abs(one.forces - other.forces).max() < 1e-8
    assert np.abs(one.stress - other.stress).max() < 1e-10
    for name in ("density", "coulomb_potential", "band_energy_density", "entropy_density"):
        shape = (20, 32, 30)
        mine, theirs = one.fields.on_grid(name, shape), other.fields.on_grid(name, shape)
        assert np.abs(mine).max() > 1e-4
        assert np.abs(mine - theirs).max() < 1e-7 * np.abs(mine).max()


@pytest.fixture(scope="module")
def cubic_aluminium() -> tuple[Crystal, Deformation]:
    crystal = Crystal.from_atoms(bulk("Al", a=4.05, cubic=True))
    assert crystal.n_translations == 4
    return crystal, Deformation((1.01, 0.98, 1.02), (91, 88, 90.5))


AL = {"cutoff": 4, "kmesh": (2, 2, 2)}


def test_conventional_aluminium_equals_the_primitive_cell(cubic_aluminium) -> None:
    """Four atoms folded by the package against one atom with a k mesh enumerated here, in another primitive cell.

    k = Σ (i_j/2) b_j of the cubic cell, and the same plus cubic reciprocal vectors: 4 · 2³ points in the fcc zone.
    """
    crystal, strain = cubic_aluminium
    state = evaluate(crystal, strain, crystal.positions_ref, **AL, fft_grid=(27, 27, 27))
    assert state.provenance["k_points"] == 20  # (32 + 8)/2

    own = np.array([[0.5, 0.5, 0], [0, 0.5, 0.5], [1.0, 0.5, 0.5]])  # not the cell that the package chooses
    assert abs(np.linalg.det(own) - 0.25) < 1e-15
    numerators = np.array(list(itertools.product(range(4), repeat=3))) / 2  # b_j and b_j/2: everything once at least
    points = np.unique(np.round(numerators @ own.T % 1.0, 9) % 1.0, axis=0)
    assert len(points) == 32
    mesh = KMesh(points, np.full(32, 1 / 32), 32)
    lattice = own @ strain.lattice(crystal)
    geometry = Geometry(
        lattice, np.zeros((1, 3)), ("Al",), {"Al": builtin_pseudopotential("Al")}, np.zeros(1, dtype=np.int64)
    )
    basis = PlaneWaveBasis.build(geometry, mesh, AL["cutoff"], shape=(36, 30, 36))
    settings = PlaneWaveSettings(basis="full", scf_tolerance=1e-13, smearing_width=0.02, **{"smearing": "cold", **AL})
    ground = ground_state(KohnShamProblem(geometry, basis, 3.0), settings)
    assert abs(state.free_energy / 4 - ground.free_energy) < 1e-10
    assert abs(state.band_energy / 4 - ground.occupations.band_energy) < 1e-8
    assert abs(state.fermi_energy - ground.occupations.fermi_energy) < 1e-8
    assert np.abs(state.stress - observables.stress(ground)).max() < 1e-10


def test_conventional_aluminium_without_folding(cubic_aluminium) -> None:
    crystal, strain = cubic_aluminium
    plain = Crystal(crystal.lattice_ref, crystal.species, crystal.positions_ref, symmetry=False)
    assert plain.n_translations == 1
    small = {"cutoff": 4, "kmesh": (2, 1, 1)}
    one = evaluate(crystal, strain, crystal.positions_ref, **small, fft_grid=(27, 27, 27))
    other = evaluate(plain, strain, plain.positions_ref, **small, fft_grid=(40, 40, 40))
    assert abs(one.free_energy - other.free_energy) < 1e-10
    assert np.abs(one.stress - other.stress).max() < 1e-10
    # The primitive cell of fcc is no symmetric combination of the cubic one: indices must be mapped the right way.
    assert not np.allclose(crystal.primitive, crystal.primitive.T)
    for name in ("density", "coulomb_potential", "band_energy_density", "entropy_density"):
        mine, theirs = (state.fields.on_grid(name, (18, 20, 16)) for state in (one, other))
        assert np.abs(mine - theirs).max() < 1e-7 * np.abs(mine).max(), name


def test_supercell_with_half_the_mesh() -> None:
    """Eight primitive cells, mesh 1 × 1 × 1, against one with 2 × 2 × 2: found to be the same problem exactly."""
    atoms = bulk("Al", a=4.05)
    one, eight = Crystal.from_atoms(atoms), Crystal.from_atoms(atoms * (2, 2, 2))
    assert eight.n_translations == 8
    strain = Deformation((1.01, 0.98, 1.02), (61, 59, 60.5))
    small = evaluate(one, strain, one.positions_ref, cutoff=5, kmesh=(2, 2, 2))
    large = evaluate(eight, strain, eight.positions_ref, cutoff=5, kmesh=(1, 1, 1))
    assert small.provenance["k_points"] == large.provenance["k_points"] == 8
    # Minkowski-reduced: the same primitive cell up to its orientation, so even the default grids agree.
    assert abs(large.free_energy - 8 * small.free_energy) < 1e-9
    assert abs(large.fermi_energy - small.fermi_energy) < 1e-8
    assert np.abs(large.stress - small.stress).max() < 1e-10
    assert large.fields.integral("density") == pytest.approx(24, abs=1e-10)
    assert small.fields.integral("density") == pytest.approx(3, abs=1e-10)


def test_order_and_origin_of_the_atoms_do_not_matter() -> None:
    crystal = magnesium()
    order, shift = [2, 0, 3, 1], np.array([0.2, -0.13, 0.37])
    other = Crystal(crystal.lattice_ref, crystal.species, crystal.positions_ref[order] + shift)
    strain = Deformation.from_array(STRAIN)
    positions = crystal.positions(MG_INTERNAL)
    mine = evaluate(crystal, strain, positions, cutoff=4, kmesh=(2, 1, 1))
    theirs = evaluate(other, strain, positions[order] + shift, cutoff=4, kmesh=(2, 1, 1))
    assert abs(mine.free_energy - theirs.free_energy) < 1e-11
    assert np.abs(mine.forces[order] - theirs.forces).max() < 1e-8
    rho = mine.fields.on_grid("density", (12, 20, 20))
    moved = theirs.fields.on_grid("density", (12, 20, 20), origin=shift)
    assert np.abs(rho - moved).max() < 1e-9


def test_cell_axes_may_be_exchanged() -> None:
    """(a, b, c) → (b, c, a): another frame, another order of everything, the same crystal; the stress turns along."""
    crystal = magnesium()
    cycle = [1, 2, 0]
    other = Crystal(crystal.lattice_ref[cycle], crystal.species, crystal.positions_ref[:, cycle])
    strain = Deformation.from_array(STRAIN)
    turned = Deformation(tuple(np.array(strain.stretches)[cycle]), tuple(np.array(strain.angles)[cycle]))
    positions = crystal.positions(MG_INTERNAL)
    grids = {"fft_grid": (36, 36, 36)}
    mine = evaluate(crystal, strain, positions, cutoff=4, kmesh=(2, 1, 1), **grids)
    theirs = evaluate(other, turned, positions[:, cycle], cutoff=4, kmesh=(1, 1, 2), **grids)
    assert abs(mine.free_energy - theirs.free_energy) < 1e-9
    rotation = np.linalg.solve(mine.lattice[cycle], theirs.lattice)
    assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.abs(rotation.T @ mine.stress @ rotation - theirs.stress).max() < 1e-9
    assert np.abs(mine.forces @ rotation - theirs.forces).max() < 1e-7
