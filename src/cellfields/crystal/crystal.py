"""A reference crystal: cell, atoms, and the symmetry that every homogeneous deformation of the cell keeps.

    R_i(ξ) = R⁰_i + Σ_α ξ_α B_{α i}        internal coordinates ξ that keep translations and inversion (paper, sec. 4.1)

Translations and the inversion centre are found from the positions. The paper's four-atom magnesium cell has three
internal coordinates, a two-atom primitive cell and an inversion centre.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

import numpy as np
from ase.data import atomic_numbers, covalent_radii

from cellfields._typing import FloatArray, IntArray
from cellfields.crystal.deformation import in_standard_frame, lattice_from_lengths_and_angles
from cellfields.crystal.structure_file import has_moments, net_charge, read_structure
from cellfields.crystal.symmetry import exact_symmetry
from cellfields.errors import InputError
from cellfields.units import ANGSTROM

if TYPE_CHECKING:
    from ase import Atoms

SYMMETRY_TOLERANCE = 1e-3  # Bohr
LONGEST = 1e4  # Bohr
_COVALENT_PART = 0.4  # of the sum of covalent radii: closer atoms are a mistake in a file
MAX_ATOMS = 200  # finding the symmetry of a larger, regular cell takes minutes, and a solve is out of reach

_Numbers = TypeVar("_Numbers", FloatArray, IntArray)
Inversion = Literal["impose", "free"]


class Crystal:
    """An immutable reference crystal: cell, atoms, and the symmetry that every deformation of the cell keeps.

    Attributes:
        lattice_ref: (3, 3) rows a⁰, b⁰, c⁰ in Bohr, in the frame a ∥ x, b in the xy plane.
        species: N chemical symbols.
        positions_ref: (N, 3) fractional coordinates R̄⁰, averaged so that they obey the symmetry exactly.
        translations: (T, 3) pure translations, fractional, zero first (T = 2 for the paper's Mg cell).
        primitive: (3, 3) rows, primitive vectors as combinations of the lattice vectors, a_p = primitive @ a.
        translation_images: (T, N) index of the atom that each translation maps an atom onto.
        inversion: "impose" or "free"; "impose" where the structure has no inversion centre.
        inversion_centre: (3,) fractional, or None when the structure has none, or one that relaxation may break.
        inversion_images: (N,) index of the atom that the inversion maps an atom onto, or None without a centre.
        origin: (3,) fractional, the point that fields are expanded about: the inversion centre of the reference
            structure, whether it is imposed or free, and 0 where there is none.
        internal_basis: (n_int, N, 3), the displacement patterns B in fractional coordinates.
    """

    def __init__(
        self,
        lattice: FloatArray | Sequence[Sequence[float]],
        species: Sequence[str],
        positions: FloatArray | Sequence[Sequence[float]],
        *,
        symmetry: bool = True,
        inversion: Inversion = "impose",
        tolerance: float = SYMMETRY_TOLERANCE,
    ) -> None:
        """Rotate to the standard frame and find the symmetry.

        Args:
            lattice: (3, 3) rows in Bohr, any orientation, right-handed.
            species: N chemical symbols.
            positions: (N, 3) fractional coordinates.
            symmetry: False looks for no translations, so that the primitive cell is the given cell; an inversion
                centre is still used. Results do not depend on it (a test compares them).
            inversion: "impose" keeps an inversion centre under every deformation; "free" lets relaxation break it
                (ferroelectrics), at the price of complex arithmetic. It makes no difference to a crystal without one.
            tolerance: distance in Bohr within which symmetric atoms may differ.

        Raises:
            InputError: left-handed or singular lattice, unknown element, coinciding atoms, wrong shapes, or another
                word for ``inversion``.
        """
        lattice = np.array(lattice, dtype=float)
        if lattice.shape != (3, 3) or not np.isfinite(lattice).all():
            raise InputError("lattice must be three finite vectors of three numbers (Bohr)")
        if np.abs(lattice).max() > LONGEST:
            raise InputError(f"lattice vectors must be at most {LONGEST:g} Bohr long")
        volume = float(np.linalg.det(lattice))
        if abs(volume) < 1e-6 * np.prod(np.linalg.norm(lattice, axis=1)) or volume == 0:
            raise InputError("lattice is singular: its three vectors lie in a plane; they must span a volume")
        if volume < 0:
            raise InputError("lattice is left-handed (negative determinant); exchange two vectors")
        if inversion not in get_args(Inversion):
            raise InputError(f'inversion = {inversion!r} must be "impose" or "free"')
        self._symmetry_used = symmetry
        self._tolerance = tolerance
        self.lattice_ref: FloatArray = _frozen(in_standard_frame(lattice))
        self.species: tuple[str, ...] = tuple(species)
        if len(self.species) > MAX_ATOMS:
            raise InputError(f"species: {len(self.species)} atoms are too many, at most {MAX_ATOMS} in a cell")
        for symbol in self.species:
            if symbol not in atomic_numbers or symbol == "X":
                raise InputError(f"species: {str(symbol)[:20]!r} is not a chemical symbol")
        if not self.species:
            raise InputError("species is empty: a crystal has at least one atom")
        positions = np.array(positions, dtype=float)
        if positions.ndim == 2 and positions.shape[1] == 3 and len(positions) != len(self.species):
            raise InputError(
                f"positions must be {len(self.species)} rows, one an atom: species names {len(self.species)} atoms and "
                f"positions places {len(positions)}"
            )
        if positions.shape != (len(self.species), 3) or not np.isfinite(positions).all():
            raise InputError(f"positions must be {len(self.species)} rows of three finite numbers, one row per species")
        _refuse_coinciding(self.lattice_ref, self.species, positions)
        numbers = np.array([atomic_numbers[s] for s in self.species])
        if not symmetry:  # every atom its own kind apart from inversion: translations cannot be found
            numbers = _labels_without_translations(self.lattice_ref, positions, numbers, tolerance)
        exact = exact_symmetry(self.lattice_ref, positions, numbers, tolerance)
        self.inversion: Inversion = "impose" if exact.inversion_centre is None else inversion
        self.origin: FloatArray = _frozen(np.zeros(3) if exact.inversion_centre is None else exact.inversion_centre)
        if self.inversion == "free":
            exact = replace(exact, inversion_centre=None, inversion_images=None)
        self.positions_ref: FloatArray = _frozen(exact.positions)
        self.translations: FloatArray = _frozen(exact.translations)
        self.primitive: FloatArray = _frozen(exact.primitive)
        self.inversion_centre: FloatArray | None = (
            None if exact.inversion_centre is None else _frozen(exact.inversion_centre)
        )
        self.translation_images: IntArray = _frozen(exact.translation_images)
        self.inversion_images: IntArray | None = (
            None if exact.inversion_images is None else _frozen(exact.inversion_images)
        )
        self.internal_basis: FloatArray = _frozen(self._internal_basis())

    # -- constructors -------------------------------------------------------------------------------------------

    @classmethod
    def from_lengths_and_angles(
        cls,
        lengths: Sequence[float],
        angles: Sequence[float],
        species: Sequence[str],
        positions: Sequence[Sequence[float]] | FloatArray,
        *,
        inversion: Inversion = "impose",
    ) -> Crystal:
        """The crystal of a cell that is given by its edges and angles.

        Args:
            lengths: |a|, |b|, |c| in Bohr.
            angles: between (b, c), (a, c) and (a, b), in degrees, each in 20 … 160.
            species: N chemical symbols.
            positions: (N, 3) fractional coordinates.
            inversion: "impose" or "free", as in the constructor.

        Raises:
            InputError: a length or angle out of range, angles that close no cell, or what the constructor refuses.
        """
        if len(lengths) != 3:
            raise InputError(f"lengths must be three positive numbers (Bohr), got {len(lengths)} of them")
        if len(angles) != 3:
            raise InputError(f"angles must be three numbers in 20 … 160 degrees, got {len(angles)} of them")
        if not all(np.isfinite(x) and x > 0 for x in lengths):
            raise InputError(f"lengths must be three positive numbers (Bohr), got {_listed(lengths)}")
        if not np.isfinite(np.asarray(angles, dtype=float)).all():
            raise InputError(f"angles must be three finite numbers in 20 … 160 degrees, got {_listed(angles)}")
        if not all(20 <= x <= 160 for x in angles):
            radians = all(0 < x < np.pi for x in angles)
            unit = " (not radians)" if radians else ""
            raise InputError(f"angles must be three numbers in 20 … 160 degrees{unit}, got {_listed(angles)}")
        lattice = lattice_from_lengths_and_angles(np.array(lengths, dtype=float), np.array(angles, dtype=float))
        return cls(lattice, species, positions, inversion=inversion)

    @classmethod
    def from_atoms(cls, atoms: Atoms, *, inversion: Inversion = "impose") -> Crystal:
        """The crystal of an ASE ``Atoms`` (Å).

        Raises:
            InputError: the atoms are not periodic in three directions, share sites, carry magnetic moments or a net
                charge, or are refused by the constructor.
        """
        shared = [table for table in (atoms.info.get("occupancy") or {}).values() if set(table.values()) != {1}]
        if shared:  # ASE puts the most frequent species on such a site, and notes the others in info only
            shares = ", ".join(f"{symbol} {share:g}" for symbol, share in shared[0].items())
            raise InputError(
                f"a site is occupied in part ({shares}): order the crystal first, for instance in a supercell"
            )
        if not atoms.pbc.all():
            raise InputError("atoms must be periodic in all three directions (atoms.pbc = True)")
        if has_moments(atoms):
            raise InputError("atoms carry magnetic moments: spin polarisation is not supported")
        if abs(net_charge(atoms)) > 1e-6:
            raise InputError(
                f"atoms carry a net charge of {net_charge(atoms):g} (initial charges): cells must be neutral"
            )
        positions = atoms.get_scaled_positions(wrap=False)
        return cls(atoms.cell.array / ANGSTROM, atoms.get_chemical_symbols(), positions, inversion=inversion)

    @classmethod
    def from_file(cls, path: str | Path, *, index: int | None = None, inversion: Inversion = "impose") -> Crystal:
        """The crystal in a structure file: CIF, POSCAR, XSF, extended XYZ, or another format that ASE reads.

        Args:
            path: the file; its name is taken as it is.
            index: which structure, from 0, of a file that holds several.
            inversion: "impose" or "free", as in the constructor.

        Raises:
            InputError: the file cannot be read (:func:`cellfields.crystal.structure_file.read_structure` lists the
                reasons), or :meth:`from_atoms` refuses its atoms.
        """
        atoms = read_structure(path, index=index)
        try:
            return cls.from_atoms(atoms, inversion=inversion)
        except InputError as error:
            raise InputError(f"structure file {path}: {error}") from error

    @classmethod
    def from_dict(cls, table: dict[str, Any]) -> Crystal:
        """The crystal that :meth:`to_dict` wrote down, with an equal fingerprint."""
        used = {
            "symmetry": table.get("symmetry", True),
            "inversion": table.get("inversion", "impose"),
            "tolerance": table.get("tolerance", SYMMETRY_TOLERANCE),
        }
        return cls(table["lattice"], table["species"], table["positions"], **used)

    def to_dict(self) -> dict[str, Any]:
        """The crystal as JSON data: ``lattice`` (Bohr), ``species``, ``positions`` (fractional) and ``symmetry``.

        ``inversion`` and ``tolerance`` (Bohr) are written only where they are not the defaults.
        """
        return {
            "symmetry": self._symmetry_used,
            "lattice": self.lattice_ref.tolist(),
            "species": list(self.species),
            "positions": self.positions_ref.tolist(),
            **({"inversion": self.inversion} if self.inversion != "impose" else {}),
            **({"tolerance": self._tolerance} if self._tolerance != SYMMETRY_TOLERANCE else {}),
        }

    def with_inversion(self, inversion: Inversion) -> Crystal:
        """A crystal of the same cell and atoms, with its inversion centre imposed or free."""
        return Crystal.from_dict({**self.to_dict(), "inversion": inversion})

    def to_atoms(self, lattice: FloatArray | None = None, positions: FloatArray | None = None) -> Atoms:
        """ASE ``Atoms``, in Å.

        Args:
            lattice: (3, 3) rows in Bohr; the reference cell unless given.
            positions: (N, 3) fractional; the reference positions unless given.
        """
        from ase import Atoms

        cell = (self.lattice_ref if lattice is None else lattice) * ANGSTROM
        scaled = self.positions_ref if positions is None else positions
        return Atoms(self.species, scaled_positions=scaled, cell=cell, pbc=True)

    # -- size ---------------------------------------------------------------------------------------------------

    @property
    def n_atoms(self) -> int:
        """Number of atoms N in the crystal's cell."""
        return len(self.species)

    @property
    def n_translations(self) -> int:
        """Number of primitive cells T in the crystal's cell."""
        return len(self.translations)

    @property
    def n_internal(self) -> int:
        """Number of internal coordinates n_int; 0 for fcc aluminium, for instance."""
        return len(self.internal_basis)

    @property
    def volume_ref(self) -> float:
        """Volume of the reference cell, Bohr³."""
        return float(np.linalg.det(self.lattice_ref))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the crystal's defining numbers, rounded to 1e-10: equal crystals have equal fingerprints."""
        table = self.to_dict()
        table["lattice"] = (np.round(self.lattice_ref, 10) + 0.0).tolist()
        table["positions"] = (np.round(self.positions_ref, 10) + 0.0).tolist()
        return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Crystal) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        formula = "".join(f"{s}{self.species.count(s)}" for s in dict.fromkeys(self.species))
        return (
            f"Crystal({formula}, {self.n_translations} primitive cells, {self.n_internal} internal coordinates, "
            f"inversion={'free' if self.inversion == 'free' else 'no' if self.inversion_centre is None else 'yes'})"
        )

    # -- internal coordinates -----------------------------------------------------------------------------------

    @cached_property
    def primitive_atoms(self) -> IntArray:
        """Indices of one atom of each translation class: the atoms of the primitive cell."""
        return _frozen(np.unique(self.translation_images.min(axis=0)))

    @cached_property
    def representatives(self) -> IntArray:
        """Indices (n_int / 3,) of the atoms whose displacements are the internal coordinates, three for each atom."""
        representatives = []
        for atom in self.primitive_atoms:
            if self.inversion_images is not None:
                partners = self.translation_images[:, self.inversion_images[atom]]
                if partners.min() <= atom:  # its own image (fixed), or the image of an earlier atom
                    continue
            representatives.append(int(atom))
        if self.inversion_images is None:
            representatives = representatives[1:]  # the rigid translation has no energy: the first atom stays
        return _frozen(np.array(representatives, dtype=np.int64))

    def _internal_basis(self) -> FloatArray:
        basis = np.zeros((len(self.representatives), 3, self.n_atoms, 3))
        for row, atom in enumerate(self.representatives):
            for axis in range(3):
                basis[row, axis, self.translation_images[:, atom], axis] = 1.0
                if self.inversion_images is not None:
                    partner = self.inversion_images[atom]
                    basis[row, axis, self.translation_images[:, partner], axis] = -1.0
        return basis.reshape(-1, self.n_atoms, 3)

    def positions(self, internal: FloatArray | Sequence[float]) -> FloatArray:
        """Fractional positions (N, 3) from internal coordinates (n_int,).

        Raises:
            InputError: another number of internal coordinates, or numbers that are not finite.
        """
        internal = np.asarray(internal, dtype=float)
        if internal.shape != (self.n_internal,):
            raise InputError(f"internal must hold {self.n_internal} numbers, got shape {internal.shape}")
        if not np.isfinite(internal).all():
            raise InputError("internal must hold finite numbers (fractional displacements)")
        return np.asarray(self.positions_ref + np.einsum("a,ani->ni", internal, self.internal_basis))

    def internal(self, positions: FloatArray) -> FloatArray:
        """Internal coordinates (n_int,) of fractional positions (N, 3) near the reference ones.

        Without an inversion centre, displacements are taken relative to that of the first atom.

        Raises:
            InputError: the positions break the crystal's translations or inversion by more than 1e-6.
        """
        shift = np.asarray(positions, dtype=float) - self.positions_ref
        shift = shift - np.rint(shift)
        if self.inversion_images is None:
            shift = shift - shift[0]
        internal = np.asarray(shift[self.representatives], dtype=float).reshape(-1)
        if self.n_atoms and np.abs(self.positions(internal) - self.positions_ref - shift).max() > 1e-6:
            raise InputError("positions break the translations or the inversion of the reference crystal")
        return np.asarray(internal)

    def internal_gradient(self, forces: FloatArray, lattice: FloatArray) -> FloatArray:
        """∂F/∂ξ (n_int,) in Hartree from Cartesian forces (N, 3) in Hartree/Bohr on the crystal's atoms."""
        gradient: FloatArray = -np.einsum("ani,ij,nj->a", self.internal_basis, lattice, forces)
        return gradient

    def to_primitive(self, lattice: FloatArray, positions: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Primitive cell of the crystal in a deformation.

        Args:
            lattice: (3, 3) rows of the crystal's cell, Bohr.
            positions: (N, 3) fractional.

        Returns:
            Primitive row vectors (3, 3) in Bohr, and the fractional positions (N / T, 3) of the primitive cell's atoms
            in them, relative to the crystal's origin.
        """
        shifted = positions[self.primitive_atoms] - self.origin
        return self.primitive @ lattice, shifted @ np.linalg.inv(self.primitive)


def _frozen(array: _Numbers) -> _Numbers:
    copied = array.copy()
    copied.setflags(write=False)
    return copied


def _refuse_coinciding(lattice: FloatArray, species: Sequence[str], positions: FloatArray) -> None:
    """Refuse atoms closer than 0.3 Bohr, or than 0.4 of the sum of their covalent radii (Cordero et al. 2008, in ASE).

    Sodium at 1 TPa is at 0.48 of that sum, the hydrogen molecule at 1.2.
    """
    steps = np.array([(i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)])
    difference = positions[:, None] - positions[None, :]
    images = (difference - np.rint(difference))[:, :, None] + steps
    distance = np.linalg.norm(images @ lattice, axis=3)
    distance[np.arange(len(positions)), np.arange(len(positions)), 13] = np.inf  # the atom itself
    distance = distance.min(axis=2)
    radii = covalent_radii[[atomic_numbers[symbol] for symbol in species]] / ANGSTROM
    least = np.maximum(0.3, _COVALENT_PART * (radii[:, None] + radii[None, :]))
    if (distance < least).any():
        first, second = np.unravel_index((distance / least).argmin(), distance.shape)
        raise InputError(
            f"positions: atoms {first} and {second} are {distance[first, second]:.3f} Bohr apart (at least "
            f"{least[first, second]:.3g} for {species[first]} and {species[second]}, {_COVALENT_PART:g} of the sum of "
            "their covalent radii)"
        )


def _listed(numbers: Sequence[float]) -> str:
    return "[" + ", ".join(f"{x:g}" for x in numbers) + "]"


def _labels_without_translations(
    lattice: FloatArray, positions: FloatArray, numbers: IntArray, tolerance: float
) -> IntArray:
    """Species labels that distinguish atoms related by a translation, so that only inversion is left to find."""
    symmetry = exact_symmetry(lattice, positions, numbers, tolerance)
    if symmetry.inversion_images is None:
        return np.arange(len(positions)) + 1
    return np.minimum(np.arange(len(positions)), symmetry.inversion_images) + 1
