"""States that somebody else's code computed → a dataset: tables with cube or CHGCAR densities, ABINIT's output folders.

May import the language of the package, the dataset store, ASE's readers and the reader of ABINIT's output.
Does not belong here: running other codes, and engines of any kind but the one that stands for imported states.
"""

from cellfields.dataset.importing.importer import ImportSummary, import_records, imported_identity, read_source
from cellfields.dataset.importing.record import Record

__all__ = ["ImportSummary", "Record", "import_records", "imported_identity", "read_source"]
