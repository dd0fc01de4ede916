"""ABINIT as an engine: input, process, output and fields, one file each."""

from cellfields.engines.abinit.abinit_engine import AbinitEngine
from cellfields.engines.abinit.density_file import DensityFile
from cellfields.engines.abinit.settings import AbinitOptions

__all__ = ["AbinitEngine", "AbinitOptions", "DensityFile"]
