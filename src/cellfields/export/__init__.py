"""Interfaces to other codes: an ASE calculator, and files that other codes read.

Results are converted to the other code's units here: eV and Å for ASE, and the units of the format for files.
"""

from cellfields.export.ase import CellFieldsCalculator

__all__ = ["CellFieldsCalculator"]
