"""Many strains at once say what one at a time says."""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation, lengths_and_angles
from cellfields.crystal.kinematics import lattice_of_deformation
from cellfields.errors import InputError
from cellfields.state import CellState
from cellfields.surrogate import OutsideDomainError, OutsideDomainWarning, Surrogate
from cellfields.surrogate.jax_arrays import double_precision
from tests.surrogate.samples import TINY, draw
from tests.toy import ToyEngine

FAR = [1.3, 1, 1, 90, 90, 90]


@pytest.mark.parametrize("n", [1, 3, 70])
def test_a_batch_is_its_strains(surrogate: Surrogate, n: int) -> None:
    quiet = replace(surrogate, outside="flag")
    strains = draw(quiet.crystal, n, seed=5)
    batch = quiet.solve_batch([strain.as_array() for strain in strains])
    assert len(batch) == n
    for row, state in enumerate(map(quiet.solve, strains)):
        assert batch.free_energy[row] == pytest.approx(state.free_energy, rel=1e-13)
        np.testing.assert_allclose(batch.internal[row], state.internal, atol=1e-14)
        np.testing.assert_allclose(batch.positions[row], state.positions, atol=1e-14)
        np.testing.assert_allclose(batch.stress[row], state.stress, rtol=1e-9, atol=1e-13)
        assert batch.in_domain[row] == state.provenance["in_domain"]
    reduced = quiet.reduced(np.array([strain.as_array() for strain in strains]))
    np.testing.assert_allclose(reduced["internal"], batch.internal, atol=1e-14)
    for name, outputs in reduced.items():
        expected = [quiet._in_double[name](strain.as_array()) for strain in strains]
        np.testing.assert_allclose(outputs, expected, rtol=1e-10, atol=1e-13)


def test_none_at_all(surrogate: Surrogate) -> None:
    batch = surrogate.solve_batch(np.zeros((0, 6)))
    assert batch.stress.shape == (0, 3, 3) and batch.positions.shape == (0, 4, 3)


def test_outside_is_told(surrogate: Surrogate) -> None:
    inside = surrogate.domain.mean
    with pytest.warns(OutsideDomainWarning):
        batch = surrogate.solve_batch([inside, FAR])
    assert batch.in_domain.tolist() == [True, False]
    with pytest.raises(OutsideDomainError, match=r"1\.3"):
        replace(surrogate, outside="raise").solve_batch([inside, FAR])


def test_what_is_no_strain_or_not_known_is_refused(crystal: Crystal, states: list[CellState]) -> None:
    known = Surrogate.train(crystal, states[:10], TINY)
    with pytest.raises(InputError, match=r"\(n, 6\)"):
        known.solve_batch(np.ones(6))
    blank = np.full_like(states[0].internal, np.nan)
    atomless = [replace(s, internal=blank, unknown=frozenset({"internal"})) for s in states[:10]]
    with pytest.raises(InputError, match="does not know the atoms"):
        Surrogate.train(crystal, atomless, TINY).solve_batch([FAR])
    cold = [replace(s, free_energy=np.nan, stress=None, unknown=frozenset({"free_energy"})) for s in states[:10]]
    with pytest.raises(InputError, match="does not know the free energy"):
        Surrogate.train(crystal, cold, TINY).solve_batch([FAR])


def test_a_crystal_without_free_atoms() -> None:
    crystal = Crystal(3.75 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]), ["Al"], [[0, 0, 0]])
    states = list(map(ToyEngine(crystal, field_cutoff=1.0).solve, draw(crystal, 12)))
    batch = Surrogate.train(crystal, states, TINY).solve_batch([states[0].deformation.as_array()])
    assert batch.internal.shape == (1, 0) and batch.positions.shape == (1, 1, 3)


def test_lattices_are_those_of_the_deformation(crystal: Crystal) -> None:
    lengths = lengths_and_angles(crystal.lattice_ref)[0]
    for values in ([1.02, 0.97, 1.01, 93, 86, 91.5], [1, 1, 1, 90, 90, 90]):
        with double_precision():
            found = np.asarray(lattice_of_deformation(jnp.asarray(values, float), jnp.asarray(lengths)))
        np.testing.assert_allclose(found, Deformation.from_array(values).lattice(crystal), atol=1e-14)
