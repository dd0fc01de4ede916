"""Where a surrogate may be believed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.errors import InputError
from cellfields.state import CellState
from cellfields.surrogate import OutsideDomainError, OutsideDomainWarning, Surrogate
from cellfields.surrogate.training_domain import TrainingDomain
from tests.surrogate.samples import TINY

CENTRE = np.array([1, 1, 1, 90, 90, 90.0])
SCALE = np.array([0.05, 0.05, 0.05, 3, 3, 3])
STRAINS = CENTRE + np.random.default_rng(0).uniform(-1, 1, (200, 6)) * SCALE


def test_training_strains_are_inside_and_distant_ones_outside():
    domain = TrainingDomain.fit(STRAINS)
    assert all(domain.contains(strain) for strain in STRAINS)
    assert domain.contains(CENTRE)
    for component in range(6):
        outside = CENTRE.copy()
        outside[component] += 1.1 * SCALE[component]
        assert not domain.contains(outside)


def test_empty_corners_of_the_box_are_outside():
    line = CENTRE + np.outer(np.linspace(-1, 1, 50), SCALE) + np.random.default_rng(1).normal(size=(50, 6)) * SCALE / 20
    domain = TrainingDomain.fit(line)
    along, across = CENTRE + 0.8 * SCALE, CENTRE + 0.8 * SCALE * [1, -1, 1, -1, 1, -1]
    assert domain.contains(along)
    assert (across > domain.lower).all() and (across < domain.upper).all()
    assert not domain.contains(across)


def test_distance_is_mahalanobis():
    domain = TrainingDomain.fit(STRAINS)
    offset = np.array([0.01, -0.02, 0.03, 1, -2, 0.5])
    covariance = np.cov(STRAINS.T, bias=True)
    expected = np.sqrt(offset @ np.linalg.solve(covariance, offset))
    np.testing.assert_allclose(domain.distance(STRAINS.mean(axis=0) + offset), expected, rtol=1e-6)


def test_components_that_did_not_vary_must_keep_their_value():
    strains = STRAINS.copy()
    strains[:, 3:] = 90
    domain = TrainingDomain.fit(strains)
    assert domain.contains(strains[0])
    assert not domain.contains(strains[0] + [0, 0, 0, 0.01, 0, 0])
    few = TrainingDomain.fit(STRAINS[:3])  # three strains span a plane: everything off it is far away
    assert all(few.contains(strain) for strain in STRAINS[:3])
    middle = STRAINS[:3].mean(axis=0)
    off = np.linalg.svd((STRAINS[:3] - middle) / SCALE)[2][-1] * SCALE
    assert few.contains(middle) and not few.contains(middle + 1e-2 * off)


def test_many_strains_are_judged_as_each_of_them():
    domain = TrainingDomain.fit(STRAINS)
    strains = CENTRE + np.random.default_rng(2).normal(size=(50, 6)) * SCALE
    assert [bool(x) for x in domain.contains(strains)] == [bool(domain.contains(strain)) for strain in strains]
    assert 0 < domain.contains(strains).sum() < 50
    np.testing.assert_allclose(domain.distance(strains), [domain.distance(strain) for strain in strains])


FAR = Deformation((1.3, 1, 1), (90, 90, 90))


@pytest.fixture(scope="module")
def small(crystal: Crystal, states: list[CellState]) -> Surrogate:
    return Surrogate.train(crystal, states[:12], TINY)


def test_outside_is_told_unless_the_user_chose_otherwise(small: Surrogate, states: list[CellState], tmp_path):
    assert small.solve(states[0].deformation).provenance["in_domain"] is True  # and no warning
    with pytest.warns(OutsideDomainWarning, match="outside the strains that the model was trained on"):
        state = small.solve(FAR)
    assert state.provenance["in_domain"] is False and state.provenance["domain_distance"] > 1
    quiet, strict = replace(small, outside="flag"), replace(small, outside="raise")
    assert quiet.solve(FAR).provenance["in_domain"] is False
    with pytest.raises(OutsideDomainError, match=r"D = \(1.3, 1, 1, 90, 90, 90\) lies outside") as refusal:
        strict.solve(FAR)
    assert isinstance(refusal.value, InputError)
    small.save(tmp_path / "m.safetensors")
    with pytest.raises(OutsideDomainError):
        Surrogate.load(tmp_path / "m.safetensors", outside="raise").solve(FAR)
    with pytest.raises(InputError, match="outside = 'shout' must be one of flag, warn, raise"):
        replace(small, outside="shout")


def test_batches_are_told_of_too(small: Surrogate, states: list[CellState]):
    inside = states[0].deformation.as_array()
    small.energy_and_gradient([inside])
    with pytest.warns(OutsideDomainWarning):
        small.energy_and_gradient([inside, FAR.as_array()])
    with pytest.raises(OutsideDomainError, match=r"1.3"):
        replace(small, outside="raise").energy_and_gradient([inside, FAR.as_array()])
