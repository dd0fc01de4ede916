"""The protocol as the paper has it, and the miniature that says that it is one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cellfields.errors import InputError
from cellfields.reproductions.teh2021 import protocol
from cellfields.reproductions.teh2021.protocol import AIMS, PRINTED, teh2021
from cellfields.reproductions.teh2021.published import Published
from cellfields.surrogate.images import images_of
from tests.reproductions.teh2021.toy_plan import draw, published
from tests.toy import ToyEngine


def test_settings_are_the_papers() -> None:
    plan = teh2021()
    settings = plan.engine.settings
    assert (settings.cutoff, settings.kmesh, settings.smearing, settings.smearing_width) == (
        24,
        (12, 12, 12),
        "cold",
        0.01,
    )
    paper = plan.paper
    assert (paper.modes, paper.field_widths, paper.small_widths) == (50, (500, 500), (50, 100, 50))
    assert (paper.learning_rate, paper.l2, paper.batch_size, paper.epochs) == (1e-3, 1e-4, 128, 4000)
    assert plan.architectures.folds == 4
    assert (plan.architectures.fields[0], plan.architectures.small[0]) == (paper.field_widths, paper.small_widths)
    assert plan.grid == (36, 64, 60)
    assert set(AIMS) - set(PRINTED) == {f for f in AIMS if f.endswith("relative_l2")}


def test_strains_are_drawn_as_the_papers() -> None:
    plan = teh2021()
    strains = np.array([d.as_array() for d in (*plan.train, *plan.test)])
    assert strains.shape == (1500, 6) and len(np.unique(strains, axis=0)) == 1500  # none is learned and judged
    assert (strains[:, :3] >= 0.9).all() and (strains[:, :3] <= 1.1).all()
    assert (strains[:, 3:] >= 84).all() and (strains[:, 3:] <= 96).all()
    np.testing.assert_array_equal(strains, np.round(strains, 4))
    spread = strains.std(axis=0) / np.repeat([0.05, 3.0], 3)
    np.testing.assert_allclose(spread, 0.88, atol=0.05)  # of a normal distribution cut at two sigma
    assert max(plan.sizes) <= len(plan.train) == 500
    state = ToyEngine(plan.crystal, field_cutoff=0.5).solve(plan.train[0])
    assert len(images_of(plan.crystal, [state], plan.paper, plan.engine.identity)[0]) == 4  # 2,000 labels


def test_with_the_authors_data_their_strains_are_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    strains, made = draw(3, 5), []

    class Recorded:
        def __init__(self, crystal, settings) -> None:  # type: ignore[no-untyped-def]
            made.append(settings)

    monkeypatch.setattr(protocol, "PlaneWaveEngine", Recorded)  # theirs is no file that tests have
    monkeypatch.setattr(Published, "load", lambda folder: replace(published(strains), folder=Path(folder)))
    plan = teh2021(Path("somewhere"))
    assert plan.test == strains and plan.published is not None
    assert {str(settings.pseudopotentials["Mg"]) for settings in made} == {"somewhere/mg.pseu"}
    assert len(made) == 3 and "Without the authors' data" not in " ".join(plan.notes)
    assert "Without the authors' data" in " ".join(teh2021().notes)
    assert plan.train == teh2021().train


def test_the_miniature_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = teh2021(quick=True)
    assert len(plan.train) + len(plan.test) <= 20 and plan.paper.epochs < 1000
    assert "miniature" in plan.notes[0] and "nothing about the paper" in plan.notes[0]
    monkeypatch.setattr(Published, "load", lambda folder: published(draw(3, 5)))
    assert "reference folder is not used" in teh2021(Path("somewhere"), quick=True).notes[0]


def test_a_folder_without_their_files_is_refused(tmp_path: Path) -> None:
    for quick in (True, False):
        with pytest.raises(InputError, match=r"there is no file published_test_errors\.npz"):
            teh2021(tmp_path, quick=quick)
