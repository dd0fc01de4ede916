"""The FFT grid that ABINIT takes, against the ones that it took."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from cellfields.engines.abinit import AbinitEngine
from cellfields.engines.abinit.fft_grid import abinit_grid
from tests.engines.abinit.problems import INTERNAL, MG_SETTINGS, STRAIN, needs_abinit
from tests.toy import magnesium


def test_a_cube_holds_twice_the_sphere() -> None:
    lattice = 2 * np.pi * np.eye(3)  # |G| = |m|: the faces lie at n/2 ≥ 2 √(2 E_cut)
    assert abinit_grid(lattice, 2.0) == (8, 8, 8)
    assert abinit_grid(lattice, 2.01) == (10, 10, 10)


def test_an_odd_grid_counts_as_the_even_one_below() -> None:
    lattice = 2 * np.pi * np.eye(3)
    assert abinit_grid(lattice, 13**2 / 8 - 1e-9) == (27, 27, 27)  # 26 is no size; 27 reaches 13


def test_a_given_grid_is_taken_unless_it_is_too_small_or_unknown_to_the_fft() -> None:
    lattice = 2 * np.pi * np.eye(3)
    assert abinit_grid(lattice, 2.0, (12, 9, 8)) == (12, 9, 8)
    assert abinit_grid(lattice, 2.0, (6, 6, 6)) == (6, 6, 6)
    assert abinit_grid(lattice, 2.0, (4, 8, 8)) == (8, 8, 8)
    assert abinit_grid(lattice, 2.0, (14, 8, 8)) == (8, 8, 8)


@needs_abinit
@pytest.mark.parametrize("cutoff", [5.0, 7.3])
def test_abinit_takes_it(tmp_path: Path, cutoff: float) -> None:
    settings = MG_SETTINGS.model_copy(update={"cutoff": cutoff, "fft_grid": None, "kmesh": (1, 1, 1)})
    engine = AbinitEngine(magnesium(), settings)
    run = engine.input(STRAIN, INTERNAL).with_variables({"nstep": 1, "prtwf": 0, "prtden": 0, "prtvclmb": 0})
    run.write(tmp_path)
    subprocess.run(["abinit", "run.abi"], cwd=tmp_path, capture_output=True, check=False)
    found = re.findall(r"ngfft=\s+(\d+)\s+(\d+)\s+(\d+)", (tmp_path / "run.abo").read_text())
    primitive, _ = engine.crystal.to_primitive(STRAIN.lattice(engine.crystal), engine.crystal.positions(INTERNAL))
    assert abinit_grid(primitive, cutoff) == tuple(map(int, found[-1]))
