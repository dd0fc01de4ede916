"""σ against dF/dD: a formula whose difference is known, and a small crystal in few plane waves."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.polynomial import Polynomial

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.dataset import DatasetStore
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.planewave import PlaneWaveEngine
from cellfields.errors import PhysicsWarning, SCFNotConverged
from cellfields.mechanics import StressConsistency, stress_consistency
from cellfields.mechanics.stress_consistency import dataset_stress_consistency, keep_stress_consistency
from cellfields.state import CellState
from cellfields.surrogate import Surrogate
from cellfields.units import GPA
from tests.engines.planewave.problems import silicon
from tests.mechanics.engines import HyperelasticEngine
from tests.toy import magnesium


class TruncatedEngine(HyperelasticEngine):
    """F gains A x^(−n), x = E V^(2/3), of the plane waves that are missing; its stress keeps x fixed, as in an engine.

    Then ∂F/∂E = −n A x^(−n)/E and p = (2/3) n A x^(−n)/V, exactly.
    """

    def __init__(self, crystal: Crystal, cutoff: float, amplitude: float, power: float = 4.0) -> None:
        super().__init__(crystal, fields=True)
        self.settings = SimpleNamespace(cutoff=cutoff)
        self.amplitude, self.power = amplitude, power
        self.fails_at: float | None = None
        self.made: list[TruncatedEngine] = []

    def at_cutoff(self, cutoff: float) -> TruncatedEngine:
        self.made.append(TruncatedEngine(self.crystal, cutoff, self.amplitude, self.power))
        self.made[-1].fails_at = self.fails_at
        return self.made[-1]

    def missing(self, volume: float) -> float:
        return self.amplitude * (self.settings.cutoff / 10 * (volume / 500) ** (2 / 3)) ** -self.power

    def pressure(self, volume: float) -> float:
        return 2 / 3 * self.power * self.missing(volume) / volume

    def evaluate(self, deformation: Deformation, internal: np.ndarray, *, start: Any | None = None) -> CellState:
        if self.fails_at is not None and self.settings.cutoff < self.fails_at:
            raise SCFNotConverged("no self-consistency after 3 steps")
        state = super().evaluate(deformation, internal, start=start)
        return replace(state, free_energy=state.free_energy + self.missing(state.volume))


@pytest.fixture
def engine() -> TruncatedEngine:
    return TruncatedEngine(magnesium(), cutoff=10.0, amplitude=0.08)


def test_the_pressure_of_a_formula(engine: TruncatedEngine) -> None:
    found = stress_consistency(engine)
    volume = engine.crystal.volume_ref
    assert found.pulay_pressure == pytest.approx(engine.pressure(volume), rel=0.15)
    assert found.pulay_pressure_gpa == pytest.approx(found.pulay_pressure * GPA)
    assert found.pulay_pressure > engine.pressure(volume)  # from below: to the safe side
    assert found.cutoff == 10 and found.nearby_cutoff == pytest.approx(10 / 1.05)
    # The stress less p is the derivative of F at the fixed cutoff.
    step = 1e-4
    sizes = [(1 + x) * np.ones(3) for x in (-step, step)]
    low, high = (engine.evaluate(Deformation(tuple(s), (90, 90, 90)), np.zeros(3)) for s in sizes)
    slope = (high.free_energy - low.free_energy) / (high.volume - low.volume)
    state = engine.evaluate(Deformation.identity(engine.crystal), np.zeros(engine.crystal.n_internal))
    exact = StressConsistency(engine.pressure(volume), 10, 9)
    assert np.trace(exact.corrected(state.stress)) / 3 == pytest.approx(slope, abs=1e-9)
    assert abs(np.trace(state.stress) / 3 - slope) > 1e-5


def test_a_state_that_is_there_is_not_solved_again(engine: TruncatedEngine) -> None:
    state = engine.solve(Deformation((1.02, 1.01, 1.0), (90, 91, 90)))
    before = engine.solves
    found = stress_consistency(engine, state=state)
    assert engine.solves == before and engine.made[0].solves == 1
    assert found.deformation == pytest.approx(state.deformation.as_array())
    assert found.pulay_pressure == pytest.approx(engine.pressure(state.volume), rel=0.15)
    assert engine.made[0].starts[0].fields is state.fields  # it begins with the converged density


def test_disagreement_is_told(engine: TruncatedEngine) -> None:
    found = stress_consistency(engine)
    assert found.is_consistent() is False
    with pytest.warns(PhysicsWarning, match=rf"cutoff = 10 Ha .* \{found.pulay_pressure_gpa:+.3g} GPa of tension"):
        found.warn()
    table = found.to_dict()
    assert table["checked"] is True and table["consistent"] is False
    assert StressConsistency.from_dict(json.loads(json.dumps(table))).to_dict() == table


def test_the_spread_of_stress_may_be_the_smaller_measure() -> None:
    found = StressConsistency(0.4 / GPA, 10, 9)
    assert found.is_consistent() is True
    assert found.is_consistent(spread_gpa=0.3) is False
    assert found.is_consistent(spread_gpa=50.0) is True
    assert StressConsistency(1.1 / GPA, 10, 9).is_consistent(spread_gpa=50.0) is False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found.warn()


def test_where_no_plane_wave_lies_between_a_lower_cutoff_is_taken() -> None:
    stepped = TruncatedEngine(magnesium(), cutoff=10.0, amplitude=0.08)
    stepped.at_cutoff = lambda cutoff: TruncatedEngine(  # type: ignore[method-assign]
        stepped.crystal, 10.0 if cutoff > 9.2 else cutoff, 0.08
    )
    found = stress_consistency(stepped)
    assert found.nearby_cutoff == pytest.approx(10 / 1.2)
    assert found.is_consistent() is False


def test_what_cannot_be_checked_says_why(engine: TruncatedEngine, learned: Surrogate) -> None:
    for other in (HyperelasticEngine(magnesium()), learned):
        unknown = stress_consistency(other)
        assert unknown.pulay_pressure is None and unknown.is_consistent() is None
        assert unknown.to_dict() == {"checked": False, "reason": unknown.reason}
        assert type(other).__name__ in unknown.sentence()
        assert StressConsistency.from_dict(unknown.to_dict()) == unknown
    engine.fails_at = 9.9
    assert "9.524 Ha failed (no self-consistency after 3 steps)" in stress_consistency(engine).reason


def test_it_is_kept_beside_a_dataset(engine: TruncatedEngine, tmp_path: Path) -> None:
    store = DatasetStore.create_or_open(tmp_path / "dataset", engine.crystal, {"engine": "toy"})
    assert dataset_stress_consistency(store) is None
    found = stress_consistency(engine)
    keep_stress_consistency(store, found)
    again = DatasetStore.create_or_open(tmp_path / "dataset", engine.crystal, {"engine": "toy"})
    kept = dataset_stress_consistency(again)
    assert kept is not None and kept.to_dict() == found.to_dict()
    (store.directory / "stress_check.json").write_text('{"checked": true}')
    assert dataset_stress_consistency(store) is None


FCC = 0.5 * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]])
ALUMINIUM: dict[str, Any] = {
    "kmesh": (3, 3, 3),
    "smearing": "fermi-dirac",
    "smearing_width": 0.02,
    "basis": "full",
    "scf_tolerance": 1e-8,
}


@pytest.mark.parametrize("plane_waves", ["k_sphere", "union"])
def test_the_set_of_plane_waves_depends_on_cutoff_and_volume_together(plane_waves: str) -> None:
    """E V^(2/3) decides it, for spheres and for their union: this is all that the formula of p rests on."""
    crystal = Crystal(FCC * 7.5, ["Al"], [[0, 0, 0]])

    def waves(cutoff: float, stretch: float) -> list[set[tuple[int, ...]]]:
        settings = PlaneWaveSettings(cutoff=cutoff, plane_waves=plane_waves, **{"smearing": "cold", **ALUMINIUM})
        cell = PlaneWaveEngine(crystal, settings).held(Deformation((stretch,) * 3, (60, 60, 60)), np.zeros(0))
        return [{tuple(m) for m in sphere.tolist()} for sphere in cell.problem.basis.wave_m]

    assert waves(6.0, 1.0) == waves(6.0 / 1.05**2, 1.05)
    assert waves(6.0, 1.0) != waves(6.0, 1.15)


def test_aluminium_in_few_plane_waves() -> None:
    """The estimate against the energy itself: a polynomial through F of many volumes averages the jumps."""
    crystal = Crystal(FCC * 7.5, ["Al"], [[0, 0, 0]])
    engine = PlaneWaveEngine(crystal, PlaneWaveSettings(cutoff=6, **{"smearing": "cold", **ALUMINIUM}))
    states = [
        engine.evaluate(Deformation((1 + x,) * 3, (60, 60, 60)), np.zeros(0)) for x in np.linspace(-0.04, 0.04, 9)
    ]
    middle = states[4]
    x = np.array([(s.volume / middle.volume) ** (2 / 3) - 1 for s in states])
    fit = Polynomial.fit(x, [s.free_energy for s in states], 3).convert()
    derivative = float(fit.deriv()(0.0)) * 2 / 3 / middle.volume
    true = float(np.trace(middle.stress)) / 3 - derivative
    assert true * GPA > 0.5  # worth finding
    found = stress_consistency(engine, state=middle)
    assert found.pulay_pressure == pytest.approx(true, rel=0.5)
    assert np.trace(found.corrected(middle.stress)) / 3 == pytest.approx(derivative, abs=0.5 * true)


def test_smooth_spheres_leave_no_pulay_stress() -> None:
    """Silicon at a cutoff that is too low: GPa with sharp spheres, none where they end smoothly."""
    crystal = silicon()
    sharp, smooth = (
        stress_consistency(
            PlaneWaveEngine(
                crystal, PlaneWaveSettings(cutoff=6, cutoff_smoothing=width, kmesh=(2, 2, 2), smearing="none")
            )
        )
        for width in (0.0, 1.0)
    )
    assert sharp.pulay_pressure_gpa is not None and sharp.pulay_pressure_gpa > 2
    assert "cutoff_smoothing" in sharp.sentence()
    assert smooth.pulay_pressure_gpa == pytest.approx(0, abs=0.02) and smooth.is_consistent()
    assert smooth.to_dict()["method"].startswith("F at stretches")
    assert StressConsistency.from_dict(smooth.to_dict()).nearby_cutoff is None
