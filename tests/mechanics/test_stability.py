"""Instabilities where a closed formula puts them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cellfields.crystal.deformation import Deformation
from cellfields.errors import ConvergenceError, InputError, LeftDomainError, SCFNotConverged
from cellfields.mechanics import find_instability, tangent_stiffness, uniaxial_test
from cellfields.state import CellState
from tests.mechanics.engines import HEXAGONAL, HyperelasticEngine
from tests.toy import magnesium

CUBIC, QUARTIC = -0.08, 0.9


def folding() -> HyperelasticEngine:
    """E₁ softens as it grows: compressing x₂ drives it over a limit point, and it stiffens again beyond."""
    return HyperelasticEngine(magnesium(), cubic=(CUBIC, 0.0), quartic=QUARTIC)


def fold_strain() -> float:
    """With E₃ eliminated: a E₁ + d E₂ + c E₁²/2 + q E₁³/6 = 0, singular where a + c E₁ + q E₁²/2 = 0."""
    eliminated = HEXAGONAL[0, 2] ** 2 / HEXAGONAL[2, 2]
    a, d = HEXAGONAL[0, 0] - eliminated, HEXAGONAL[0, 1] - eliminated
    e1 = (-CUBIC - np.sqrt(CUBIC**2 - 2 * QUARTIC * a)) / QUARTIC
    e2 = -(a * e1 + CUBIC * e1**2 / 2 + QUARTIC * e1**3 / 6) / d
    return float(np.sqrt(1 + 2 * e2) - 1)


def test_a_limit_point_is_found_where_it_is():
    found = find_instability(folding(), 2, towards=-0.1)
    assert found is not None
    assert found.strain == pytest.approx(fold_strain(), abs=2e-5)
    assert found.kind == "limit point"
    assert abs(found.eigenvalue) < 1e-5
    assert abs(found.mode["e1"]) > 0.9  # the soft direction
    assert set(found.to_dict()) >= {"strain", "mode", "kind", "deformation"}


def test_the_curve_jumps_there_and_not_before():
    curve = uniaxial_test(folding(), 2, np.round(np.arange(-0.06, 0.001, 0.01), 10).tolist())
    assert not curve.failures
    first = dict(zip(curve.table().strain, curve.table().strains[:, 0], strict=True))
    jumped = [strain for strain, elongation in first.items() if elongation > 0.1]
    assert jumped == [strain for strain in first if strain < fold_strain()]


def test_the_search_may_begin_at_a_point_of_a_curve():
    law = folding()
    curve = uniaxial_test(law, 2, [-0.01, -0.02, -0.03])
    before = law.solves
    found = find_instability(law, 2, towards=-0.1, begin=curve.at(-0.03))
    assert found is not None and found.strain == pytest.approx(fold_strain(), abs=2e-5)
    assert found.evaluations == law.solves - before < 40
    with pytest.raises(InputError, match="another direction"):
        find_instability(law, 1, begin=curve.at(-0.03))


def test_a_symmetry_breaking_mode_is_a_bifurcation_and_needs_the_shears():
    """C₄₄ + m E₃ = 0: invisible as long as right angles are kept."""
    law = HyperelasticEngine(magnesium(), softening=0.02)
    assert find_instability(law, 3, towards=-0.05) is None
    found = find_instability(law, 3, towards=-0.05, components="all")
    assert found is not None
    assert found.strain == pytest.approx(np.sqrt(1 - 2 * 0.6e-3 / 0.02) - 1, abs=5e-5)
    assert found.kind == "bifurcation"
    assert abs(found.mode["c23"]) == pytest.approx(1, abs=1e-6)


def test_tension_is_stable():
    assert find_instability(folding(), 2, towards=0.05) is None


def test_tangent_stiffness_is_the_hessian():
    """At E = 0: ∂g/∂x = C in these coordinates, where there is no stress."""
    law = HyperelasticEngine(magnesium(), cubic=(0.0, 0.0))
    stiffness = tangent_stiffness(law, Deformation.identity(law.crystal), step=1e-4)
    np.testing.assert_allclose(stiffness, HEXAGONAL, atol=5e-7)


def test_wrong_arguments():
    with pytest.raises(InputError, match="not zero"):
        find_instability(folding(), 2, towards=0.0)
    unstable = HyperelasticEngine(magnesium(), softening=0.02, residual=np.array([0, 0, -2e-4, 0, 0, 0]))
    with pytest.raises(InputError, match="unstable already"):
        point = uniaxial_test(unstable, 3, [-0.04], components="all").at(-0.04)
        find_instability(unstable, 3, components="all", begin=point)


class Failing(HyperelasticEngine):
    """Does not converge at one call, or wherever ``refuses`` says."""

    def __init__(self, call: int | None = None, error: type[Exception] = SCFNotConverged) -> None:
        super().__init__(magnesium(), cubic=(CUBIC, 0.0), quartic=QUARTIC)
        self.call, self.error = call, error
        self.refuses: Callable[[Deformation], bool] = lambda deformation: False

    def evaluate(self, deformation: Deformation, internal: np.ndarray, *, start: Any | None = None) -> CellState:
        if self.solves == self.call or self.refuses(deformation):
            self.solves += 1
            raise self.error("no self-consistency after 3 steps")
        return super().evaluate(deformation, internal, start=start)


@pytest.mark.parametrize("error", [SCFNotConverged, InputError])
def test_one_solve_that_fails_never_moves_the_instability(error: type[Exception]) -> None:
    """Whichever of the solves it is: the same strain is found, or an error says that it was not."""
    begin = uniaxial_test(folding(), 2, [0.0]).points[0]
    law = Failing()
    right = find_instability(law, 2, towards=-0.1, begin=begin)
    assert right is not None
    found = 0
    for call in range(law.solves):
        broken = Failing(call, error)
        try:
            instability = find_instability(broken, 2, towards=-0.1, begin=begin)
        except (ConvergenceError, InputError):
            continue
        assert instability is not None and instability.strain == pytest.approx(fold_strain(), abs=5e-5)
        found += 1
    assert found > 0.6 * law.solves  # most failures are got round by a shorter step or another point


def test_a_zero_in_the_midst_of_what_cannot_be_solved_is_not_made_up() -> None:
    begin = uniaxial_test(folding(), 2, [0.0]).points[0]
    there = find_instability(folding(), 2, towards=-0.1, begin=begin)
    assert there is not None
    at = there.deformation.stretches[0]
    law = Failing()
    law.refuses = lambda deformation: abs(deformation.stretches[0] - at) < 4e-3
    with pytest.raises(ConvergenceError, match=r"between strains -0\.0\d+ and -0\.0\d+, but no state|path was lost"):
        find_instability(law, 2, towards=-0.1, begin=begin)


def test_an_instability_outside_a_models_strains_fails_by_name() -> None:
    class Bounded(HyperelasticEngine):
        labelled_by = None
        domain = SimpleNamespace(lower=np.array([0.98] * 3 + [88.0] * 3), upper=np.array([1.02] * 3 + [92.0] * 3))

        def solve(self, deformation: Deformation, *, start: Any | None = None) -> CellState:
            inside = all(0.98 <= x <= 1.02 for x in deformation.stretches)
            return replace(super().solve(deformation, start=start), provenance={"in_domain": inside})

    law = Bounded(magnesium(), cubic=(CUBIC, 0.0), quartic=QUARTIC)
    with pytest.raises(LeftDomainError, match=r"the search for an instability along x2 left .*λb = 0\.9"):
        find_instability(law, 2, towards=-0.1)
    flagged = find_instability(law, 2, towards=-0.1, outside="flag")
    assert flagged is not None and flagged.in_domain is False
    with pytest.raises(InputError, match="must be 'raise' or 'flag'"):
        find_instability(law, 2, outside="shout")
