"""Ewald's sum: independence of its splitting, Madelung constants of crystals, invariances, derivatives."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import erfc

from cellfields.engines.planewave.geometry import Geometry
from cellfields.engines.planewave.terms.ewald import ewald

FCC = np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
BCC = np.array([[-0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.5, 0.5, -0.5]])


def ions(lattice: np.ndarray, positions: np.ndarray, charges: list[float]) -> Geometry:
    """Point charges only: everything else that a geometry knows stays unused."""
    species = tuple(f"ion{i}" for i in range(len(charges)))
    valences = {s: SimpleNamespace(valence=z) for s, z in zip(species, charges, strict=True)}
    return Geometry(np.array(lattice), np.array(positions), species, valences, np.arange(len(charges)))  # type: ignore[arg-type]


def brute_force(geometry: Geometry, eta: float) -> float:
    """The textbook sum with the given splitting, over generous boxes and atom by atom."""
    z, tau = geometry.charges, geometry.positions @ geometry.lattice
    cells = np.stack(np.meshgrid(*[np.arange(-7, 8)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    energy = 0.0
    for i in range(len(z)):
        for j in range(len(z)):
            r = np.linalg.norm(tau[i] - tau[j] + cells @ geometry.lattice, axis=1)
            r = r[r > 1e-9]
            energy += 0.5 * z[i] * z[j] * float((erfc(np.sqrt(eta) * r) / r).sum())
    g = cells[(cells != 0).any(axis=1)] @ geometry.reciprocal
    g2 = (g**2).sum(axis=1)
    structure = np.abs(np.exp(1j * g @ tau.T) @ z) ** 2
    energy += 2 * np.pi / geometry.volume * float((np.exp(-g2 / (4 * eta)) / g2 * structure).sum())
    return energy - np.sqrt(eta / np.pi) * float(z @ z) - np.pi * z.sum() ** 2 / (2 * eta * geometry.volume)


@pytest.fixture(scope="module")
def skew() -> Geometry:
    """A triclinic cell with three different ions, charged on the whole (a background neutralises it)."""
    lattice = np.array([[6.0, 0, 0], [1.1, 5.0, 0], [-0.7, 0.9, 7.0]])
    return ions(lattice, np.array([[0.0, 0.1, 0.2], [0.45, 0.5, 0.61], [0.8, 0.2, 0.55]]), [2.0, 3.0, -1.5])


@pytest.mark.parametrize("eta", [0.12, 0.2, 0.35])
def test_independent_of_the_splitting(skew: Geometry, eta: float) -> None:
    # Both sums of the brute force are complete to 1e-12 for these η in a box of ±7 cells.
    assert abs(ewald(skew).energy - brute_force(skew, eta)) < 1e-11


@pytest.mark.parametrize(
    ("rows", "published"),
    [(np.eye(3), -0.880059), (BCC, -0.895929), (FCC, -0.895874)],
    ids=["simple cubic", "bcc", "fcc"],
)
@pytest.mark.parametrize("charge", [1.0, 3.0])
def test_ions_in_a_uniform_background(rows: np.ndarray, published: float, charge: float) -> None:
    """Energy per ion of Wigner's lattices, in units of Z²/r_s with 4π r_s³/3 the volume per ion.

    Coldwell-Horsfall and Maradudin, J. Math. Phys. 1, 395 (1960), who give twice these in Rydberg: −1.760119,
    −1.791860, −1.791749. Six digits.
    """
    lattice = 7.3 * rows
    radius = (3 * abs(np.linalg.det(lattice)) / (4 * np.pi)) ** (1 / 3)
    energy = ewald(ions(lattice, np.zeros((1, 3)), [charge])).energy
    assert abs(energy * radius / charge**2 - published) < 1e-6


@pytest.mark.parametrize(
    ("rows", "second", "nearest", "madelung"),
    [
        (FCC, [0.5, 0.5, 0.5], 0.5, 1.747564594633),  # rock salt
        (np.eye(3), [0.5, 0.5, 0.5], np.sqrt(3) / 2, 1.762674773071),  # caesium chloride
        (FCC, [0.25, 0.25, 0.25], np.sqrt(3) / 4, 1.638055053389),  # zinc blende
    ],
    ids=["NaCl", "CsCl", "ZnS"],
)
def test_madelung_constants(rows: np.ndarray, second: list[float], nearest: float, madelung: float) -> None:
    """Ionic crystals: E = −M q²/d with the nearest distance d (Kittel's table, here with twelve digits)."""
    edge = 10.6
    energy = ewald(ions(edge * rows, np.array([[0, 0, 0], second]), [1.0, -1.0])).energy
    assert abs(energy * nearest * edge + madelung) < 1e-11


def test_invariances(skew: Geometry) -> None:
    """Rigid shifts, whole lattice vectors, another choice of cell, and a supercell."""
    reference = ewald(skew)
    moved = replace(
        skew, positions=skew.positions + np.array([[0.13, -0.4, 0.27], [1.13, -0.4, -1.73], [0.13, 2.6, 0.27]])
    )
    assert abs(ewald(moved).energy - reference.energy) < 1e-11
    assert np.allclose(ewald(moved).forces, reference.forces, atol=1e-11)
    turn = np.array([[1, 0, 0], [2, 1, 0], [0, -1, 1]])  # unimodular
    other = replace(skew, lattice=turn @ skew.lattice, positions=skew.positions @ np.linalg.inv(turn))
    assert abs(ewald(other).energy - reference.energy) < 1e-11
    assert np.allclose(ewald(other).stress, reference.stress, atol=1e-11)
    doubled = ions(
        skew.lattice * [[2], [1], [1]],
        np.concatenate([skew.positions, skew.positions + np.array([1, 0, 0])]) / [2, 1, 1],
        [*skew.charges, *skew.charges],
    )
    assert abs(ewald(doubled).energy - 2 * reference.energy) < 1e-11
    assert np.allclose(ewald(doubled).forces[:3], reference.forces, atol=1e-11)


def test_forces_and_stress_are_derivatives(skew: Geometry) -> None:
    """Central differences of 1e-4: error of the formula 1e-8 × third derivatives, of rounding 1e-11."""
    result, step = ewald(skew), 1e-4
    assert np.abs(result.forces.sum(axis=0)).max() < 1e-12
    inverse = np.linalg.inv(skew.lattice)
    for atom in range(3):
        for axis in range(3):
            energies = []
            for sign in (1, -1):
                positions = np.array(skew.positions)
                positions[atom] += sign * step * inverse[axis]
                energies.append(ewald(replace(skew, positions=positions)).energy)
            assert abs(result.forces[atom, axis] + (energies[0] - energies[1]) / (2 * step)) < 2e-8
    for i in range(3):
        for j in range(3):
            eta = np.zeros((3, 3))
            eta[i, j] = step
            up = ewald(replace(skew, lattice=skew.lattice @ (np.eye(3) + eta).T)).energy
            down = ewald(replace(skew, lattice=skew.lattice @ (np.eye(3) - eta).T)).energy
            assert abs(result.stress[i, j] - (up - down) / (2 * step)) < 1e-7


def test_scaling() -> None:
    """Coulomb's law has no length: E(λL) = E(L)/λ, hence tr ∂E/∂η = −E."""
    geometry = ions(8.0 * FCC, np.array([[0, 0, 0], [0.2, 0.3, 0.4]]), [1.0, 4.0])
    result = ewald(geometry)
    assert np.isclose(np.trace(result.stress), -result.energy, rtol=1e-12)
    assert np.isclose(ewald(replace(geometry, lattice=1.3 * geometry.lattice)).energy, result.energy / 1.3, rtol=1e-12)
