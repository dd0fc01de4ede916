"""Makes tests/engines/abinit/samples: what ABINIT writes of a tiny relaxed silicon cell, small enough to commit.

    python tests/engines/abinit/make_samples.py      (needs ABINIT)

Two megabytes of blanks, the copy of the input in every netCDF-4 file, are left out; the rest is copied as it is.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import netCDF4
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from cellfields.crystal.deformation import Deformation
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.abinit import AbinitEngine, AbinitOptions
from cellfields.engines.abinit.output import output_files
from cellfields.engines.abinit.run import finished_run
from tests.engines.planewave.problems import SI_STRAIN, silicon

SAMPLES = Path(__file__).with_name("samples")
SETTINGS = PlaneWaveSettings(cutoff=3, kmesh=(1, 1, 1), smearing="none", force_tolerance=1e-3)
INTERNAL = np.array([0.004, -0.003, 0.002])


def strip(source: Path, target: Path) -> None:
    """Copy without the input."""
    with netCDF4.Dataset(source) as old, netCDF4.Dataset(target, "w", format=old.data_model) as new:
        old.set_auto_maskandscale(False)
        new.set_auto_maskandscale(False)
        new.setncatts({name: old.getncattr(name) for name in old.ncattrs()})
        for name, dimension in old.dimensions.items():
            if name != "input_len":
                new.createDimension(name, None if dimension.isunlimited() else len(dimension))
        for name, variable in old.variables.items():
            if name != "input_string":
                new.createVariable(name, variable.dtype, variable.dimensions)[...] = variable[...]


if __name__ == "__main__":
    engine = AbinitEngine(silicon(), SETTINGS, AbinitOptions())
    shutil.rmtree(SAMPLES, ignore_errors=True)
    SAMPLES.mkdir()
    with finished_run(engine.input(Deformation.from_array(SI_STRAIN), INTERNAL, relax=True), engine.options) as run:
        for path in output_files(run.folder).values():
            strip(path, SAMPLES / path.name)
        (SAMPLES / "run.abo").write_text(run.main_output, encoding="utf-8")
