"""Elastic constants of a formula that is known, at any state, and what follows from them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.crystal.voigt import from_voigt, to_voigt
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.planewave import PlaneWaveEngine
from cellfields.errors import InputError
from cellfields.mechanics import ConstitutiveLaw, elastic_constants, third_order_constants
from cellfields.mechanics.moduli import compliance, moduli, point_group, symmetrised, youngs_modulus
from tests.mechanics.engines import HEXAGONAL, HyperelasticEngine
from tests.toy import ToyEngine, magnesium

STATE = Deformation((1.03, 0.98, 1.02), (92.0, 87.5, 91.0))
_PLACE = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])


@pytest.fixture
def engine() -> HyperelasticEngine:
    return HyperelasticEngine(magnesium(), residual=1e-4 * np.array([1, -2, 0.5, 0.1, 0, -0.2]))


def pushed_forward(engine: HyperelasticEngine, state: Deformation) -> np.ndarray:
    """C at a state: J⁻¹ F F F F : ∂²w/∂E²."""
    material = engine.material_constants(engine.strain(state))[_PLACE[:, :, None, None], _PLACE]
    f = state.deformation_gradient(engine.crystal)
    full = np.einsum("ia,jb,kc,ld,abcd->ijkl", f, f, f, f, material) / np.linalg.det(f)
    return to_voigt(np.moveaxis(to_voigt(full), -1, 0))


def test_reference_constants(engine):
    found = elastic_constants(engine, step=1e-4)
    np.testing.assert_allclose(found.constants, HEXAGONAL, atol=1e-9)
    np.testing.assert_allclose(to_voigt(found.stress), engine.residual, atol=1e-15)
    assert found.asymmetry < 1e-9


def test_constants_at_a_stressed_state_are_the_second_derivative_of_the_energy(engine):
    found = elastic_constants(engine, STATE, step=1e-4)
    np.testing.assert_allclose(found.constants, pushed_forward(engine, STATE), atol=1e-8)
    assert np.abs(found.constants - HEXAGONAL).max() > 1e-4


def test_birch_coefficients_are_what_a_small_strain_does_to_the_stress(engine):
    """dσ_I = B_IJ dε_J, by differences of the Cauchy stress itself, for symmetric strains without rotation."""
    found = elastic_constants(engine, STATE, step=1e-4)
    gradient = STATE.deformation_gradient(engine.crystal)
    step = 1e-5
    columns = []
    for unit in np.eye(6):
        tensor = from_voigt(unit * [1, 1, 1, 0.5, 0.5, 0.5])
        values = []
        for sign in (1, -1):
            wanted = (np.eye(3) + sign * step * tensor) @ gradient
            state = engine.solve(Deformation.from_deformation_gradient(wanted, engine.crystal))
            turn = wanted @ np.linalg.inv(state.deformation.deformation_gradient(engine.crystal))
            values.append(to_voigt(turn @ state.stress @ turn.T))
        columns.append((values[0] - values[1]) / (2 * step))
    np.testing.assert_allclose(found.birch, np.array(columns).T, atol=1e-8)
    assert np.abs(found.birch - found.birch.T).max() > 1e-5  # under such a stress B is not symmetric


def test_clamped_ions_are_stiffer(engine):
    relaxed = elastic_constants(engine, step=1e-4)
    clamped = elastic_constants(engine, ions="clamped", step=1e-4)
    expected = HEXAGONAL + engine.spring * engine.coupling.T @ engine.coupling
    np.testing.assert_allclose(clamped.constants, expected, atol=1e-9)
    assert np.linalg.eigvalsh(clamped.constants - relaxed.constants)[0] > -1e-9


def test_third_order_constants(engine):
    found, deviation = third_order_constants(engine, step=2e-3)
    expected = np.zeros((6, 6, 6))
    expected[0, 0, 0], expected[1, 1, 1] = engine.cubic
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert deviation < 1e-6
    soft, _ = third_order_constants(HyperelasticEngine(magnesium(), softening=0.02), step=2e-3)
    assert soft[2, 3, 3] == pytest.approx(0.02, abs=1e-6)
    assert [soft[3, 2, 3], soft[3, 3, 2]] == pytest.approx([soft[2, 3, 3]] * 2, rel=1e-12)


def test_how_many_solves_it_takes(engine):
    elastic_constants(engine)
    assert engine.solves == 13
    engine.solves = 0
    third_order_constants(engine)
    assert engine.solves == 43


def test_a_surrogate_gives_the_constants_of_its_energy(learned):
    """From differences of stress as well as by automatic differentiation of the energy twice."""
    found = elastic_constants(learned)
    _, tangent = ConstitutiveLaw.from_surrogate(learned).evaluate(np.eye(3))
    # dP/dF at F = 1 is C + δ_ik σ_jl
    expected = found.constants[_PLACE[:, :, None, None], _PLACE] + np.einsum("ik,jl->ijkl", np.eye(3), found.stress)
    np.testing.assert_allclose(tangent, expected, atol=1e-8)
    np.testing.assert_allclose(found.constants, HEXAGONAL, atol=2e-5)  # and near those it has learned from
    with pytest.raises(InputError, match="relaxed states only"):
        elastic_constants(learned, ions="clamped")


@pytest.mark.slow
def test_silicon_from_first_principles():
    """Internal strain softens the shears of diamond, and by symmetry cannot change its bulk modulus."""
    silicon = Crystal(5.1 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]), ["Si", "Si"], [[0, 0, 0], [0.25] * 3])
    engine = PlaneWaveEngine(silicon, PlaneWaveSettings(cutoff=6, kmesh=(2, 2, 2), smearing="none", basis="full"))
    relaxed, clamped = elastic_constants(engine), elastic_constants(engine, ions="clamped")
    for found in (relaxed, clamped):
        _, forbidden = symmetrised(found.constants, point_group(silicon))
        assert forbidden < 5e-6 and found.asymmetry < 2e-6  # 0.15 and 0.06 GPa
    assert moduli(relaxed.constants).bulk_voigt == pytest.approx(moduli(clamped.constants).bulk_voigt, rel=1e-3)
    assert np.linalg.eigvalsh(clamped.constants - relaxed.constants)[-1] > 5e-4  # 15 GPa


def test_stability_of_a_state():
    assert elastic_constants(HyperelasticEngine(magnesium())).is_stable
    soft = HyperelasticEngine(magnesium(), softening=0.02)
    assert not elastic_constants(soft, Deformation((1, 1, 0.95), (90, 90, 90))).is_stable


@pytest.mark.parametrize(("step", "ions", "message"), [(0.1, "relaxed", "step"), (None, "frozen", "'clamped'")])
def test_wrong_arguments(engine, step, ions, message):
    with pytest.raises(InputError, match=message):
        elastic_constants(engine, step=step, ions=ions)


def test_an_engine_without_a_true_stress_shows_in_the_asymmetry():
    """The toy's stress is no derivative of its energy, and its constants are not symmetric."""
    found = elastic_constants(ToyEngine(magnesium(), field_cutoff=1.0))
    assert found.asymmetry > 1e-5


# -- algebra --------------------------------------------------------------------------------------------------------


def isotropic(bulk: float, shear: float) -> np.ndarray:
    lame = bulk - 2 * shear / 3
    c = np.diag([2 * shear] * 3 + [shear] * 3)
    c[:3, :3] += lame
    return c


def test_averages_of_an_isotropic_solid():
    found = moduli(isotropic(30.0, 20.0))
    assert found.bulk_voigt == pytest.approx(30) and found.bulk_reuss == pytest.approx(30)
    assert found.shear_voigt == pytest.approx(20) and found.shear_reuss == pytest.approx(20)
    directions = Rotation.random(5, random_state=0).as_matrix()[:, 0]
    np.testing.assert_allclose(youngs_modulus(isotropic(30.0, 20.0), directions), 9 * 30 * 20 / (90 + 20))


def test_averages_of_magnesium():
    """Experiment at 0 K (Slutsky and Garland 1957), GPa; bulk modulus as they give it, 36.9."""
    c = hexagonal(63.5, 25.9, 21.7, 66.5, 18.4)
    found = moduli(c)
    assert found.bulk == pytest.approx(36.9, abs=0.1)
    assert found.bulk_reuss <= found.bulk <= found.bulk_voigt
    assert found.shear_reuss <= found.shear <= found.shear_voigt


def hexagonal(c11: float, c12: float, c13: float, c33: float, c44: float) -> np.ndarray:
    c = np.diag([c11, c11, c33, c44, c44, (c11 - c12) / 2])
    c[0, 1] = c[1, 0] = c12
    c[:2, 2] = c[2, :2] = c13
    return c


def test_youngs_modulus_along_axes_is_the_compliance():
    c = HEXAGONAL + 1e-5 * np.add.outer(np.arange(6), np.arange(6))
    np.testing.assert_allclose(youngs_modulus(c, np.eye(3)), 1 / np.diagonal(compliance(c))[:3])


def test_the_point_group_of_hcp_is_found_through_the_four_atom_cell():
    operations = point_group(magnesium())
    assert len(operations) == 24  # 6/mmm
    np.testing.assert_allclose(operations @ operations.transpose(0, 2, 1), np.tile(np.eye(3), (24, 1, 1)), atol=1e-6)


def test_a_strain_leaves_part_of_the_point_group(engine):
    crystal = engine.crystal
    stretched = Deformation((1.05, 1.0, 1.0), (90, 90, 90))
    assert len(point_group(crystal, Deformation.identity(crystal))) == 24
    assert len(point_group(crystal, stretched)) == 8  # mmm
    sheared = Deformation((1.02, 1.0, 1.0), (90, 90, 84))
    operations = point_group(crystal, sheared)
    assert len(operations) == 4  # 2/m, about c
    np.testing.assert_allclose(operations @ operations.transpose(0, 2, 1), np.tile(np.eye(3), (4, 1, 1)), atol=1e-6)
    for strain in (stretched, sheared):
        found = elastic_constants(engine, strain)
        _, outside = symmetrised(found.constants, point_group(crystal, strain))
        _, of_all = symmetrised(found.constants, point_group(crystal))
        assert outside < 1e-3 * of_all


def test_projection_on_hexagonal_symmetry():
    c = hexagonal(63.5, 25.9, 21.7, 66.5, 18.4)
    same, outside = symmetrised(c, point_group(magnesium()))
    np.testing.assert_allclose(same, c, atol=1e-4)
    assert outside < 1e-4
    disturbed = c.copy()
    disturbed[0, 0] += 2.0
    average, outside = symmetrised(disturbed, point_group(magnesium()))
    assert average[0, 0] == pytest.approx(average[1, 1], abs=1e-4)
    assert average[5, 5] == pytest.approx((average[0, 0] - average[0, 1]) / 2, abs=1e-4)
    assert average[0, 0] == pytest.approx(63.5 + 0.375 * 2, abs=1e-4)  # 3/8 (C11 + C22) + …
    assert outside == pytest.approx(2 - 0.75, abs=1e-4)


def test_singular_constants_have_no_compliance():
    with pytest.raises(InputError, match="singular"):
        compliance(np.diag([1.0, 1, 1, 1, 1, 0]))
