"""Factors between the Hartree atomic units used inside and the units that people read, from ``ase.units``.

Multiply by a factor to leave atomic units, divide to enter them: ``stress * GPA`` is in GPa, ``length * ANGSTROM`` in
Å.
"""

from __future__ import annotations

from ase.units import Bohr as _BOHR_IN_ANGSTROM
from ase.units import GPa as _GPA_IN_ASE
from ase.units import Hartree as _HARTREE_IN_EV

ANGSTROM: float = _BOHR_IN_ANGSTROM
"""One Bohr in Å."""

EV: float = _HARTREE_IN_EV
"""One Hartree in eV."""

EV_PER_ANGSTROM: float = EV / ANGSTROM
"""One Hartree/Bohr in eV/Å."""

EV_PER_CUBIC_ANGSTROM: float = EV / ANGSTROM**3
"""One Hartree/Bohr³ in eV/Å³."""

GPA: float = _HARTREE_IN_EV / _BOHR_IN_ANGSTROM**3 / _GPA_IN_ASE
"""One Hartree/Bohr³ in GPa."""
