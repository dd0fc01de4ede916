"""The k mesh: folding, weights, time reversal, and what it integrates exactly."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from ase.build import bulk

from cellfields.crystal import Crystal
from cellfields.engines.planewave.kpoints import KMesh
from cellfields.errors import InputError
from tests.engines.planewave.problems import aluminium, silicon
from tests.toy import magnesium

CRYSTALS = {
    "Mg": magnesium,
    "Al": aluminium,
    "Si": silicon,
    "Al cubic": lambda: Crystal.from_atoms(bulk("Al", cubic=True)),
    "Al supercell": lambda: Crystal.from_atoms(bulk("Al") * (2, 1, 3)),
}
MESHES = [(1, 1, 1), (2, 2, 2), (3, 2, 4), (5, 3, 1)]


def wrapped(points: np.ndarray) -> np.ndarray:
    """Into [0, 1), rounded so that equal points compare equal."""
    return np.round(points % 1.0, 9) % 1.0


def as_set(points: np.ndarray) -> set[tuple[float, ...]]:
    return {tuple(p) for p in wrapped(points).tolist()}


def test_the_papers_mesh_has_1732_points() -> None:
    """12 × 12 × 12 on the four-atom cell: 2 · 12³ = 3456 in the primitive zone; (3456 + 8)/2 after time reversal."""
    mesh = KMesh.folded((12, 12, 12), magnesium().primitive)
    assert mesh.size == 3456
    assert len(mesh.points) == 1732
    assert abs(mesh.weights.sum() - 1) < 1e-12


def test_a_large_perfect_supercell_folds_at_once() -> None:
    """108 atoms, one primitive cell: 108 · 4³ points, from 216 shifts of the mesh and not from 108³."""
    mesh = KMesh.folded((4, 4, 4), Crystal.from_atoms(bulk("Al", cubic=True) * (3, 3, 3)).primitive)
    assert mesh.size == 108 * 4**3


def test_same_set_as_abinits_kptrlatt() -> None:
    """kptrlatt 12 12 0 / −12 12 0 / 0 0 12 on the two-atom cell a₁ = (a − b)/2, a₂ = (a + b)/2, a₃ = c.

    ABINIT's mesh is all k with k·(Σ kptrlatt_ij a_j) ∈ 2πℤ, here built from that definition.
    """
    crystal = magnesium()
    abinit_cell = np.array([[0.5, -0.5, 0], [0.5, 0.5, 0], [0, 0, 1]])
    kptrlatt = np.array([[12, 12, 0], [-12, 12, 0], [0, 0, 12]])
    n = np.array(list(itertools.product(range(-12, 12), range(-12, 12), range(12))))
    theirs = n @ np.linalg.inv(kptrlatt).T  # k·R_i = 2π n_i, in ABINIT's reciprocal basis
    assert len(as_set(theirs)) == round(np.linalg.det(kptrlatt)) == 3456
    # To our primitive basis: k·a_crystal is common ground.
    on_ours = theirs @ np.linalg.inv(abinit_cell).T @ crystal.primitive.T
    ours = KMesh.folded((12, 12, 12), crystal.primitive, time_reversal=False)
    assert as_set(ours.points) == as_set(on_ours)
    reduced = KMesh.folded((12, 12, 12), crystal.primitive)
    assert as_set(np.concatenate([reduced.points, -reduced.points])) == as_set(on_ours)


@pytest.mark.parametrize("mesh", MESHES, ids=str)
@pytest.mark.parametrize("crystal", CRYSTALS.values(), ids=CRYSTALS)
def test_set_and_weights(crystal, mesh: tuple[int, int, int]) -> None:
    """The set of k with k·(n_j a_j) ∈ 2πℤ, every point once, closed under k → −k; weights add up to 1."""
    crystal = crystal()
    full = KMesh.folded(mesh, crystal.primitive, time_reversal=False)
    count = crystal.n_translations * int(np.prod(mesh))
    assert full.size == len(full.points) == len(as_set(full.points)) == count
    assert np.allclose(full.weights, 1 / count, rtol=1e-14)
    on_crystal = full.points @ np.linalg.inv(crystal.primitive).T * mesh  # k·(n_j a_j)/2π
    assert np.abs(on_crystal - np.rint(on_crystal)).max() < 1e-9
    assert as_set(-full.points) == as_set(full.points)
    reduced = KMesh.folded(mesh, crystal.primitive)
    assert abs(reduced.weights.sum() - 1) < 1e-12
    assert reduced.size == count
    own_mirror = (wrapped(reduced.points) == wrapped(-reduced.points)).all(axis=1)
    assert np.allclose(reduced.weights * count, np.where(own_mirror, 1, 2), rtol=1e-12)
    assert as_set(np.concatenate([reduced.points, -reduced.points])) == as_set(full.points)
    for points in (full.points, reduced.points):
        assert points.min() > -0.5 and points.max() <= 0.5


@pytest.mark.parametrize("crystal", ["Mg", "Al cubic", "Al supercell"])
def test_integrates_lattice_waves_exactly(crystal: str) -> None:
    """Σ w e^{ik·R} over primitive lattice vectors R is 1 when R belongs to the superlattice (n_j a_j), else 0."""
    made, mesh = CRYSTALS[crystal](), (3, 2, 4)
    k = KMesh.folded(mesh, made.primitive)
    r = np.array(list(itertools.product(range(-4, 5), repeat=3)))
    sums = k.weights @ np.cos(2 * np.pi * k.points @ r.T)
    on_superlattice = r @ made.primitive / np.array(mesh)
    inside = np.abs(on_superlattice - np.rint(on_superlattice)).max(axis=1) < 1e-9
    assert 1 < inside.sum() < len(r)
    assert np.abs(sums - inside).max() < 1e-12


@pytest.mark.parametrize("mesh", [(0, 2, 2), (2, -1, 2), (2, 2)])
def test_bad_meshes_are_refused(mesh: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"kmesh = .* must be three numbers of 1 or more"):
        KMesh.folded(mesh, np.eye(3))  # type: ignore[arg-type]
