"""cellfields in other codes' terms: calculators and files that they understand.

May import everything up to mechanics. Here units change: eV and Å for ASE, whatever a format demands for files.
Computing and judging states do not belong here.
"""

from cellfields.export.ase import CellFieldsCalculator

__all__ = ["CellFieldsCalculator"]
