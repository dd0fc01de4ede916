"""What a solve says while it runs: each SCF step to a callback, relaxation and SCF steps to the log."""

from __future__ import annotations

import logging
import re
from dataclasses import FrozenInstanceError, asdict

import numpy as np
import pytest

from cellfields.crystal.deformation import Deformation
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.planewave import PlaneWaveEngine
from cellfields.engines.planewave.bands import PlaneWaveBands
from cellfields.engines.planewave.progress import ScfStep
from cellfields.engines.planewave.scf import self_consistent
from cellfields.errors import SCFNotConverged
from tests.engines.planewave.problems import MG_INTERNAL, MG_SETTINGS, STRAIN, magnesium_problem
from tests.toy import magnesium

LOGGER = "cellfields.engines.planewave"
SETTINGS = PlaneWaveSettings(smearing="cold", cutoff=4, kmesh=(2, 2, 1), force_tolerance=1e-4)


def test_the_callback_sees_every_step_of_the_history() -> None:
    problem, steps = magnesium_problem(), list[ScfStep]()
    ground = self_consistent(
        problem, MG_SETTINGS, PlaneWaveBands(problem, 6), problem.superposed_density(), on_step=steps.append
    )
    assert [asdict(step) for step in steps] == list(ground.history)
    assert steps[-1].free_energy == ground.free_energy
    assert abs(steps[-1].harris_minus_kohn_sham) < MG_SETTINGS.scf_tolerance
    with pytest.raises(FrozenInstanceError):
        steps[0].free_energy = 0.0  # type: ignore[misc]


def test_the_callback_sees_the_last_step_of_an_scf_that_fails() -> None:
    problem, steps = magnesium_problem(), list[ScfStep]()
    settings = MG_SETTINGS.model_copy(update={"max_scf_steps": 3})
    with pytest.raises(SCFNotConverged) as caught:
        self_consistent(
            problem, settings, PlaneWaveBands(problem, 6), problem.superposed_density(), on_step=steps.append
        )
    assert [asdict(step) for step in steps] == list(caught.value.history)


def test_what_the_callback_raises_ends_the_scf() -> None:
    class Enough(Exception):
        pass

    def stop(done: ScfStep) -> None:
        if done.step == 2:
            raise Enough

    problem = magnesium_problem()
    with pytest.raises(Enough):
        self_consistent(problem, MG_SETTINGS, PlaneWaveBands(problem, 6), problem.superposed_density(), on_step=stop)


@pytest.mark.parametrize("basis", ["full", "reduced"])
def test_a_cell_hands_the_callback_on(basis: str) -> None:
    """In the reduced basis the steps on the coarse mesh come first, and both are in the history."""
    engine = PlaneWaveEngine(magnesium(), SETTINGS.model_copy(update={"basis": basis}))
    cell, steps = engine.held(Deformation.from_array(STRAIN), np.array(MG_INTERNAL)), list[ScfStep]()
    ground, _ = cell.ground(None, on_step=steps.append)
    assert [asdict(step) for step in steps] == list(ground.history)
    assert [step.step for step in steps].count(0) == (2 if basis == "reduced" else 1)
    cell.final(ground, on_step=steps.append)
    assert len(steps) == len(ground.history)


def test_the_log_has_a_line_for_each_step(caplog: pytest.LogCaptureFixture) -> None:
    engine = PlaneWaveEngine(magnesium(), SETTINGS)
    with caplog.at_level(logging.DEBUG, LOGGER):
        state = engine.solve(Deformation.from_array(STRAIN))
    assert {record.name for record in caplog.records} == {LOGGER}
    of_relaxation = [record.getMessage() for record in caplog.records if record.levelno == logging.INFO]
    of_scf = [record.getMessage() for record in caplog.records if record.levelno == logging.DEBUG]
    assert len(of_relaxation) == state.provenance["solves"] > 1
    assert len(of_scf) == state.provenance["scf_steps"]
    pattern = r"relaxation step (\d+) \((\d+) k points\): F = (\S+) Ha, largest force (\S+) Ha/Bohr, (\d+) SCF steps"
    numbers = [re.fullmatch(pattern, line).groups() for line in of_relaxation]  # type: ignore[union-attr]
    assert [int(line[0]) for line in numbers] == list(range(1, len(numbers) + 1))
    assert {int(line[1]) for line in numbers} == {state.provenance["k_points"]}
    assert float(numbers[-1][2]) * engine.crystal.n_translations == pytest.approx(state.free_energy, abs=1e-9)
    assert float(numbers[-1][3]) == pytest.approx(state.provenance["max_force"], rel=0.1)
    assert sum(int(line[4]) for line in numbers) == state.provenance["scf_steps"]
    assert re.fullmatch(r"SCF step 0: F = \S+ Ha, Harris - Kohn-Sham [+-]\S+ Ha, density residual \S+", of_scf[0])


def test_the_log_at_info_has_no_scf_steps(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, LOGGER):
        state = PlaneWaveEngine(magnesium(), SETTINGS).solve(Deformation.from_array(STRAIN))
    assert len(caplog.records) == state.provenance["solves"]
