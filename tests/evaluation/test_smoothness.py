"""Widths of the smoothing: how far F is from a smooth curve, and the stress from its slope."""

from __future__ import annotations

from pathlib import Path

import pytest

from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.planewave import PlaneWaveEngine
from cellfields.evaluation.smoothness import STRAINS, smoothness, smoothness_widths
from cellfields.units import GPA
from tests.engines.planewave.problems import silicon
from tests.toy import ToyEngine, magnesium

SETTINGS = PlaneWaveSettings(cutoff=6, kmesh=(2, 2, 2), smearing="none")


def make_engine(settings: PlaneWaveSettings) -> PlaneWaveEngine:
    return PlaneWaveEngine(silicon(), settings)


def test_a_smooth_end_of_the_spheres_is_recommended(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    widths = smoothness_widths(make_engine(SETTINGS), SETTINGS)
    assert widths == (0.0, 0.3, 0.6, 1.2)
    measured = smoothness(
        silicon(), SETTINGS, make_engine, (0.0, 0.6), folder=tmp_path, on_point=lambda *step: steps.append(step)
    )
    sharp, smooth = measured.rungs
    assert sharp.roughness is not None and smooth.roughness is not None and smooth.mismatch is not None
    assert sharp.roughness > 1e-4 and smooth.roughness < 2e-5
    assert smooth.mismatch * GPA == pytest.approx(0, abs=0.1)
    assert measured.recommend(2e-5) is smooth
    assert measured.recommend(1e-12) is None
    assert steps[-1] == (2 * len(STRAINS), 2 * len(STRAINS))
    assert [row["width"] for row in measured.to_dict()] == [0.0, 0.6]
    again = smoothness(silicon(), SETTINGS, make_engine, (0.0, 0.6), folder=tmp_path)
    assert again.to_dict() == measured.to_dict()  # from the kept points


def test_a_width_that_cannot_be_solved_says_why() -> None:
    hopeless = SETTINGS.model_copy(update={"max_scf_steps": 1})
    (rung,) = smoothness(silicon(), hopeless, make_engine, (0.6,)).rungs
    assert rung.roughness is None and "self-consistency was not reached" in rung.reason


def test_only_engines_with_spheres_are_compared() -> None:
    union = SETTINGS.model_copy(update={"plane_waves": "union"})
    assert smoothness_widths(make_engine(union), union) == ()
    reduced = SETTINGS.model_copy(update={"basis": "reduced"})
    assert smoothness_widths(make_engine(reduced), reduced) == ()
    assert smoothness_widths(ToyEngine(magnesium()), SETTINGS) == ()  # type: ignore[arg-type]
    chosen = SETTINGS.model_copy(update={"cutoff_smoothing": 0.5})
    assert 0.5 in smoothness_widths(make_engine(chosen), chosen)
