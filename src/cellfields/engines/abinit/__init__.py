"""ABINIT as an engine: input, process, output and fields, one file each.

May import the language of the package (crystal, deformation, fields, state, errors) and, from planewave, what both
engines mean by their settings (settings, pseudopotential tables, occupations). Datasets and other codes do not belong
here.
"""

from cellfields.engines.abinit.abinit_engine import AbinitEngine
from cellfields.engines.abinit.density_file import DensityFile
from cellfields.engines.abinit.settings import AbinitOptions

__all__ = ["AbinitEngine", "AbinitOptions", "DensityFile"]
