"""The settings of a plane-wave calculation, which determine its numbers, as one immutable record that JSON can hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from cellfields.errors import InputError
from cellfields.validation import Table

MeshSize = Annotated[int, Field(ge=1, le=200)]
Functional = Literal["lda", "pbe"]
_DECIDES_NO_NUMBER = {"max_scf_steps", "max_relaxation_steps", "mixing"}
_SAID_BY_PSEUDOPOTENTIALS = {"valences"}


class PlaneWaveSettings(Table):
    """Settings of the plane-wave engines, in Hartree atomic units.

    Attributes:
        cutoff: kinetic-energy cutoff, Hartree.
        cutoff_smoothing: width below the cutoff, Hartree, in which plane waves fade in and out as the cell deforms, so
            that F is smooth in strain and the stress is its derivative at any cutoff (ABINIT's ``ecutsm``); 0 keeps
            sharp spheres. It needs full plane waves of "k_sphere": with it "auto" takes these at any number of k
            points.
        kmesh: Γ-centred mesh on the *crystal's own* cell; folded to the primitive cell with the same k points.
        smearing: "fermi-dirac", "cold" (Marzari's cubic form, ABINIT occopt 4; the paper's), "gaussian", or "none"
            (insulators). Fermi–Dirac smearing of 0.01 Ha is the only setting measured whose shear stiffness has the
            right sign on every mesh of Na, Al and Mg (benchmarks/smearing_and_mesh.py).
        smearing_width: σ = 1/β, Hartree; not used by "none".
        pseudopotentials: symbol → file; symbols not named use the built-in table.
        local_channels: symbol → l of the local potential, for files that leave a choice (default: the file's).
        valences: symbol → electrons that the ion brings, where the built-in table or the file holds several.
        functional: of exchange and correlation: "lda" (Perdew and Wang 1992) or "pbe".
        bands: number of bands at each k point, or None to let the engine find how many it needs (a given number is
            used without a check that the highest band is empty).
        basis: "full" solves in plane waves at every k point; "reduced" in a reduced Bloch basis made for the cell;
            "auto" takes the reduced one where it saves time (from 40 k points on). The reduced basis is defined on the
            union of all spheres of plane waves: F and stress of "auto" change by the difference between the two sets
            of plane waves from 40 k points on, and so differ from ABINIT's (docs/reduced_basis.md).
        basis_tolerance: estimated error of F from the reduced basis, before its correction, Hartree per primitive
            cell; the corrected F is some 30 times closer.
        plane_waves: of the full basis: "k_sphere" keeps ½|k+G|² < cutoff at each k (as ABINIT), "union" the union of
            all these spheres (on which the reduced basis is defined).
        field_cutoff: ½|G|² up to which fields are stored, Hartree, on the reference cell; None means 4 × cutoff (all).
        fft_grid: FFT grid of the primitive cell, or None for the smallest that holds the density without aliasing.
        time_reversal: keep one of each pair of k points ±k.
        scf_tolerance: |F_Harris − F_KS| at which self-consistency is reached, Hartree per primitive cell.
        max_scf_steps: steps before the SCF is declared not converged.
        mixing: fraction of the residual density that is mixed in.
        force_tolerance: largest force on an atom in a relaxed state, Hartree/Bohr.
        max_relaxation_steps: solves at fixed atoms before a relaxation is declared not converged; a campaign tries
            once more with twice as many.

    Raises:
        InputError: a key is unknown or missing, or a value is of the wrong type or out of range.
    """

    cutoff: float = Field(ge=1, le=500)
    cutoff_smoothing: float = Field(default=0.0, ge=0, le=250)
    kmesh: tuple[MeshSize, MeshSize, MeshSize]
    smearing: Literal["cold", "fermi-dirac", "gaussian", "none"] = "fermi-dirac"
    smearing_width: float = Field(default=0.01, ge=1e-5, le=1)
    pseudopotentials: dict[str, Path] = Field(default_factory=dict)
    local_channels: dict[str, int] = Field(default_factory=dict)
    valences: dict[str, Annotated[int, Field(ge=1, le=149)]] = Field(default_factory=dict)
    functional: Functional = "lda"
    bands: int | None = Field(default=None, ge=1)
    basis: Literal["auto", "reduced", "full"] = "auto"
    basis_tolerance: float = Field(default=1e-6, ge=1e-10, le=1e-2)
    plane_waves: Literal["k_sphere", "union"] = "k_sphere"
    field_cutoff: float | None = Field(default=None, gt=0, le=2000)
    fft_grid: tuple[MeshSize, MeshSize, MeshSize] | None = None
    time_reversal: bool = True
    scf_tolerance: float = Field(default=1e-10, gt=0, le=1e-3)
    max_scf_steps: int = Field(default=60, ge=1)
    mixing: float = Field(default=0.8, gt=0, le=1)
    force_tolerance: float = Field(default=5e-7, gt=0, le=1e-2)
    max_relaxation_steps: int = Field(default=40, ge=1)

    @model_validator(mode="after")
    def _smoothing_fits(self) -> Self:
        if self.cutoff_smoothing > 0.5 * self.cutoff:
            raise ValueError(
                f"cutoff_smoothing = {self.cutoff_smoothing:g} must not be more than half of cutoff = {self.cutoff:g}"
            )
        if self.cutoff_smoothing > 0 and (self.basis == "reduced" or self.plane_waves == "union"):
            raise ValueError(
                'cutoff_smoothing needs the spheres of every k point: basis = "full" or "auto", and plane_waves = '
                '"k_sphere"'
            )
        return self

    def identity(self) -> dict[str, Any]:
        """The settings that the numbers depend on, as JSON data.

        Left out are settings that only decide how a result is reached, or when to give up, those that follow from the
        pseudopotentials, and those that were introduced after the first datasets where they have their default.
        """
        left_out = _DECIDES_NO_NUMBER | _SAID_BY_PSEUDOPOTENTIALS
        if self.functional == "lda":
            left_out = left_out | {"functional"}
        if self.cutoff_smoothing == 0:
            left_out = left_out | {"cutoff_smoothing"}
        return self.model_dump(mode="json", exclude=left_out)

    def require_symbols(self, species: Sequence[str]) -> None:
        """Refuse settings of an element that is not among ``species``, the elements of the crystal's atoms.

        Raises:
            InputError: ``pseudopotentials``, ``local_channels`` or ``valences`` names another element.
        """
        tables: dict[str, Iterable[str]] = {
            "pseudopotentials": self.pseudopotentials,
            "local_channels": self.local_channels,
            "valences": self.valences,
        }
        for name, table in tables.items():
            for symbol in table:
                if symbol not in species:
                    elements = ", ".join(dict.fromkeys(species))
                    raise InputError(f"{name}: {symbol} is named, but the crystal holds only {elements}")

    @property
    def stored_cutoff(self) -> float:
        """½|G|² up to which fields are stored, Hartree."""
        return 4 * self.cutoff if self.field_cutoff is None else self.field_cutoff
