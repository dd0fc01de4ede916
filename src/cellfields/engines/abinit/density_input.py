"""The density file that an ABINIT run begins with (``getden_filepath``), made from any density.

    ρ(r) = Σ_m ρ̄_m exp(2πi P m·x) + Σ (Gaussians at the run's atoms − Gaussians at the density's atoms)

x are fractional coordinates of the primitive cell from the crystal's origin, P its vectors in terms of the crystal's:
G·a_c = 2π m_c and a_p = P a_c give m_p = P m_c.

ABINIT begins with random wavefunctions in any case, and by default the first density that it makes of them is worse
than the given one: an SCF from a converged density takes more steps than one from superposed atoms. With a negative
``nnsclo`` the wavefunctions first converge in the given potential, and the SCF ends after one or two steps, with −1 as
with −5, which costs more (9.6.2; docs/predicted_starts.md).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from ase.data import atomic_numbers

from cellfields._typing import Array, FloatArray
from cellfields.crystal import Crystal
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.dft.starting_density import gaussian_form_factor
from cellfields.engines.abinit.density_file import DensityFile, IonHeader
from cellfields.engines.abinit.fft_grid import abinit_grid
from cellfields.engines.abinit.input import AbinitInput, functional_number
from cellfields.engines.abinit.pseudopotentials import PseudopotentialFile
from cellfields.errors import InputError
from cellfields.state.density_start import DensityStart

DENSITY_NAME = "start_DEN"
_PASSES = -1  # nnsclo
_MOVED = 1e-9  # fractional
_ABINITS_OWN = ("getden_filepath", "getden", "irdden", "getwfk", "getwfk_filepath", "irdwfk")


def with_density(run: AbinitInput, file: DensityFile) -> AbinitInput:
    """The input of a run that begins with a density file.

    Raises:
        InputError: the variables of the run already name a file to begin with.
    """
    for name in _ABINITS_OWN:
        if name in run.variables:
            raise InputError(f"abinit.variables.{name} cannot be given where the calculation has a start")
    variables = {"getden_filepath": f'"{DENSITY_NAME}"'}
    if "nnsclo" not in run.variables:
        variables["nnsclo"] = str(_PASSES)
    return replace(run, files={**run.files, DENSITY_NAME: file.to_bytes()}).with_variables(variables)


def empty_file(
    crystal: Crystal,
    lattice: FloatArray,
    internal: FloatArray,
    settings: PlaneWaveSettings,
    pseudopotentials: Mapping[str, PseudopotentialFile],
) -> DensityFile:
    """The density file of a run with a density of zero.

    Args:
        crystal: the reference crystal.
        lattice: (3, 3) rows of the deformed crystal's cell, Bohr.
        internal: (n_int,) internal coordinates, fractional.
        settings: of the calculation.
        pseudopotentials: symbol → file.
    """
    primitive, positions = crystal.to_primitive(lattice, crystal.positions(internal))
    species = [crystal.species[i] for i in crystal.primitive_atoms]
    symbols = list(dict.fromkeys(species))
    return DensityFile(
        density=np.zeros(abinit_grid(primitive, settings.cutoff, settings.fft_grid)),
        lattice=primitive,
        positions=positions,
        kinds=np.array([symbols.index(s) for s in species]),
        ions=tuple(_ion(pseudopotentials[s]) for s in symbols),
        cutoff=settings.cutoff,
        functional=functional_number(settings),
        electrons=sum(pseudopotentials[s].valence for s in species),
    )


def started(empty: DensityFile, start: DensityStart | DensityFile, crystal: Crystal) -> DensityFile:
    """The density file of a run, filled with the density of a start.

    Args:
        empty: the file of the run, of which cell, atoms and grid are taken.
        start: a density of any strain, or a density file of this cell.
        crystal: the reference crystal.

    Raises:
        InputError: the density belongs to another crystal or other pseudopotentials, or a density file to another
            cell, cutoff, functional or grid.
    """
    if isinstance(start, DensityFile):
        start.require(empty)
        spectrum, before = np.fft.fftn(start.density, norm="forward"), start.positions
    else:
        start.require(crystal, empty.electrons * crystal.n_translations)
        spectrum = _spectrum(start, crystal, empty)
        _, before = crystal.to_primitive(np.eye(3), start.positions)
    shift = empty.positions - before
    if np.abs(shift - np.rint(shift)).max() > _MOVED:
        spectrum = spectrum + _gaussians(empty, empty.positions) - _gaussians(empty, before)
    spectrum[0, 0, 0] = empty.electrons / np.linalg.det(empty.lattice)
    return replace(empty, density=np.fft.ifftn(spectrum, norm="forward").real)


def _spectrum(start: DensityStart, crystal: Crystal, empty: DensityFile) -> Array:
    """Coefficients (n1, n2, n3) of a start's density on the run's FFT grid, scaled to the run's volume."""
    fields, shape = start.fields, np.array(empty.density.shape)
    m_c = fields.basis.indices
    turn = np.exp(2j * np.pi * (m_c @ (crystal.origin - fields.basis.origin)))
    values = fields.coefficients["density"] * turn / fields.integral("density")
    m = np.rint(m_c @ crystal.primitive.T).astype(np.int64)
    resolved = (2 * np.abs(m) < shape).all(axis=1)
    spectrum = np.zeros(empty.density.shape, dtype=complex)
    values = values[resolved] * empty.electrons / np.linalg.det(empty.lattice)
    spectrum[tuple((m[resolved] % shape).T)] = values
    spectrum[tuple((-m[resolved] % shape).T)] = values.conj()
    return spectrum


def _gaussians(empty: DensityFile, positions: FloatArray) -> Array:
    """Coefficients (n1, n2, n3) on the FFT grid of Gaussian valence charges at the atoms; 0 at the grid's edge."""
    shape = empty.density.shape
    axes = [np.rint(np.fft.fftfreq(n, 1 / n)) for n in shape]
    m = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    g2 = ((m @ (2 * np.pi * np.linalg.inv(empty.lattice).T)) ** 2).sum(axis=-1)
    charges = np.array([empty.ions[kind].valence for kind in empty.kinds])
    phases = np.exp(-2j * np.pi * (m @ positions.T)) @ charges
    inside = (2 * np.abs(m) < np.array(shape)).all(axis=-1)
    return np.asarray(np.where(inside, gaussian_form_factor(g2) * phases, 0.0) / np.linalg.det(empty.lattice))


def _ion(file: PseudopotentialFile) -> IonHeader:
    title = file.content.split(b"\n", 1)[0].decode("ascii", "replace").strip()
    md5 = hashlib.md5(file.content, usedforsecurity=False).hexdigest()  # as ABINIT writes it
    return IonHeader(title, float(atomic_numbers[file.symbol]), file.valence, md5)
