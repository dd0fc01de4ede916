"""Import states of other codes into a dataset: tables with cube or CHGCAR densities, folders of ABINIT output.

The files themselves are read in ``formats`` and ``engines.abinit``; here they become records and then states.
"""

from cellfields.dataset.importing.importer import ImportSummary, import_records, imported_identity, read_source
from cellfields.dataset.importing.record import Record

__all__ = ["ImportSummary", "Record", "import_records", "imported_identity", "read_source"]
