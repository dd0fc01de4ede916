"""What a state may hold, each quantity declared once: its name, its units, its label, and how it is stored.

    energies and levels   free_energy F, band_energy U, entropic_energy −TS, fermi_energy E_F
    atoms and tensors     internal ξ, forces f, stress σ
    fields                density ρ, coulomb_potential φ, band_energy_density u, entropy_density s, registered ones

    ∫ρ = N ,   ∫u = U ,   −σ ∫s = −TS          which number the integral of a field over the cell is

Stores, surrogates, evaluations, tables and figures ask here and keep no lists. The cell itself (D, lattice vectors) is
no quantity in this sense: every state has it. A fifth field is declared with :func:`register`, in every process that
asks for its physical values. The order of declaration is the order of tables and of the columns in pack files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from cellfields.errors import InputError

Kind = Literal["count", "energy", "level", "per atom", "tensor", "field"]


@dataclass(frozen=True)
class Integral:
    """Which number the integral of a field over the deformed cell is.

    Attributes:
        scalar: name of that quantity.
        times_minus_smearing_width: the number is −σ times the integral, σ the smearing width in Hartree; otherwise it
            is the integral itself.
    """

    scalar: str
    times_minus_smearing_width: bool = False

    def factor(self, smearing_width: float | None) -> float | None:
        """What the integral is multiplied by to give the number; None where that takes a width that is not known."""
        if not self.times_minus_smearing_width:
            return 1.0
        return None if smearing_width is None else -smearing_width


@dataclass(frozen=True)
class Quantity:
    """The declaration of one quantity, in Hartree atomic units.

    Attributes:
        name: of the attribute of a state, or of the field; as in files.
        kind: a count, an energy, a level (an energy that does not grow with the cell), numbers for each atom, a
            tensor, or a field.
        label: in words, for people.
        symbol: in formulas.
        unit: in files, plain ASCII ("Hartree/Bohr^3").
        shown_unit: the same unit for people ("Ha Bohr⁻³").
        extensive: a cell of twice as many atoms has twice as much of it. No field is.
        short_label: the label where there is little room; the label itself, unless given.
        integral: of a field, the number that its integral over the cell is.
        times_volume: of a field f, its Fourier series is stored times the volume V of the deformed cell, V f̄, so that
            the coefficient of m = 0 is the integral.
        zero_mean: of a field, it is defined up to a constant, and its mean over the cell is taken to be zero.

    Raises:
        InputError: a name that is no identifier, what only fields have of another quantity, or an integral of a field
            that is not stored times the volume.
    """

    name: str
    kind: Kind
    label: str
    symbol: str
    unit: str
    shown_unit: str
    extensive: bool = False
    short_label: str = ""
    integral: Integral | None = None
    times_volume: bool = False
    zero_mean: bool = False

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise InputError(f"a quantity cannot be called {self.name!r}: use letters, digits and underscores")
        if self.kind == "field" and self.extensive:
            raise InputError(f"{self.name} is a field, a value at each point: it cannot be extensive")
        if self.kind != "field" and (self.integral is not None or self.times_volume or self.zero_mean):
            raise InputError(f"{self.name} is no field: it has no integral, and no series that is stored")
        if self.integral is not None and not self.times_volume:
            raise InputError(f"{self.name} must be stored times the volume, for its series to hold its integral")

    @property
    def title(self) -> str:
        """Label and symbol: "band energy density u"."""
        return f"{self.label} {self.symbol}"

    @property
    def short_title(self) -> str:
        """Short label and symbol, as for a narrow column: "density ρ"."""
        return f"{self.short_label or self.label} {self.symbol}"


_DECLARED = {
    declared.name: declared
    for declared in (
        Quantity("electrons", "count", "number of electrons", "N", "1", "", extensive=True),
        Quantity("free_energy", "energy", "free energy", "F", "Hartree", "Ha", extensive=True),
        Quantity("internal", "per atom", "internal coordinates", "ξ", "fractional", ""),
        Quantity("band_energy", "energy", "band energy", "U", "Hartree", "Ha", extensive=True),
        Quantity("entropic_energy", "energy", "entropic energy", "−TS", "Hartree", "Ha", extensive=True),
        Quantity("fermi_energy", "level", "Fermi energy", "E_F", "Hartree", "Ha"),
        Quantity("forces", "per atom", "forces", "f", "Hartree/Bohr", "Ha Bohr⁻¹"),
        Quantity("stress", "tensor", "stress", "σ", "Hartree/Bohr^3", "Ha Bohr⁻³"),
    )
}
_FIELDS = {
    declared.name: declared
    for declared in (
        Quantity(
            "density", "field", "electron density", "ρ", "electrons/Bohr^3", "Bohr⁻³",
            short_label="density", integral=Integral("electrons"), times_volume=True,
        ),
        Quantity(
            "coulomb_potential", "field", "Coulomb potential", "φ", "Hartree", "Ha",
            short_label="potential", zero_mean=True,
        ),
        Quantity(
            "band_energy_density", "field", "band energy density", "u", "Hartree/Bohr^3", "Ha Bohr⁻³",
            integral=Integral("band_energy"), times_volume=True,
        ),
        Quantity(
            "entropy_density", "field", "entropy density", "s", "1/Bohr^3", "Bohr⁻³",
            integral=Integral("entropic_energy", times_minus_smearing_width=True), times_volume=True,
        ),
    )
}  # fmt: skip

FIELDS: Mapping[str, Quantity] = MappingProxyType(_FIELDS)
"""Every field that is declared, by name; a view that shows what is registered later."""

STATE_NUMBERS = tuple(name for name, declared in _DECLARED.items() if declared.kind != "count")
"""Attributes of a state that it may or may not know, fields aside."""

ENERGIES = tuple(name for name in STATE_NUMBERS if _DECLARED[name].kind in ("energy", "level"))
"""Attributes of a state that are one energy or level in Hartree, in the order of the columns in pack files."""


def quantity(name: str) -> Quantity:
    """The declaration of a quantity.

    Raises:
        InputError: nobody declared it.
    """
    declared = _FIELDS.get(name) or _DECLARED.get(name)
    if declared is None:
        raise InputError(
            f"nobody declared {name!r}: whether it is stored times the volume, and in which unit, is not known; "
            "cellfields.state.quantities.register declares a field"
        )
    return declared


def register(field: Quantity) -> Quantity:
    """Declare one more field; the same declaration may be repeated.

    Raises:
        InputError: no field, a name that is declared otherwise, or an integral that is no declared number or is
            another field's.
    """
    if field.kind != "field":
        raise InputError(f"{field.name} is of kind {field.kind!r}: only fields can be registered")
    declared = _FIELDS.get(field.name) or _DECLARED.get(field.name)
    if declared not in (None, field):
        raise InputError(f"{field.name} is declared already, otherwise")
    if field.integral is not None and declared is None:
        scalar = field.integral.scalar
        if scalar not in _DECLARED:
            raise InputError(f"the integral of {field.name} is said to be {scalar!r}, which nobody declared")
        if field_of(scalar) is not None:
            raise InputError(f"{scalar} is the integral of {field_of(scalar)} already")
    return _FIELDS.setdefault(field.name, field)


def field_of(scalar: str) -> str | None:
    """Name of the field whose integral gives a number; None: there is none."""
    names = (name for name, f in _FIELDS.items() if f.integral is not None and f.integral.scalar == scalar)
    return next(names, None)


def ordered_fields(names: Iterable[str]) -> tuple[str, ...]:
    """Names of fields without repetition, in the order of declaration; those that nobody declared last, by name."""
    wanted = set(names)
    return (*(name for name in _FIELDS if name in wanted), *sorted(wanted - _FIELDS.keys()))
