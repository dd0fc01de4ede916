"""Where a surrogate may be believed."""

from __future__ import annotations

import numpy as np

from cellfields.surrogate._domain import TrainingDomain

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
