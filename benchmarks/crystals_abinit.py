"""The examples' crystals, every pseudopotential format and two equations of state, against ABINIT and full plane waves.

    python benchmarks/crystals_abinit.py [--only WORD ...] [--json FILE]      (needs ABINIT and abinit-data)

held       strained cells, atoms displaced: this engine in full plane waves against ABINIT, in the reduced basis against
           itself in full plane waves (of the same set, the union of all spheres)
formats    the same for the cases of tests/reference/abinit that name files; ABINIT's numbers are those kept there
eos        seven volumes, Birch–Murnaghan; Δ of Lejaeghere et al., Crit. Rev. Solid State Mater. Sci. 39, 1 (2014), of
           the same pairs

Settings are the examples', but for coarser k meshes and the cutoff of strontium titanate: codes are compared, no more.
Every case is written to the JSON as soon as it is there; those that are there already are left out.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ase.eos import EquationOfState
from ase.utils.deltacodesdft import delta

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from cellfields import Crystal, Deformation, PlaneWaveEngine, PlaneWaveSettings  # noqa: E402
from cellfields.engines.abinit import AbinitEngine, AbinitOptions  # noqa: E402
from cellfields.pipeline.configuration import load_configuration  # noqa: E402
from cellfields.state import CellState  # noqa: E402
from cellfields.units import ANGSTROM, EV  # noqa: E402
from tests.reference.abinit.make_references import FORMATS, PSEUDOPOTENTIAL_FOLDER  # noqa: E402

RESULT = ROOT / "benchmarks" / "results" / "crystals_abinit.json"
REFERENCES = ROOT / "tests" / "reference" / "abinit"
COARSER: dict[str, dict[str, Any]] = {
    "02_silicon/silicon.toml": {"kmesh": (2, 2, 2)},
    "03_aluminium/aluminium.toml": {"kmesh": (4, 4, 4)},
    "05_graphene/graphene.toml": {"kmesh": (6, 6, 1)},
    "04_srtio3/srtio3.toml": {"kmesh": (2, 1, 1), "cutoff": 20},
}
STRAIN = np.array([0.012, -0.006, 0.003, 0.6, -0.8, 0.3])
SHIFT = 0.004  # fractional, of internal coordinates
LINEAR = np.linspace(0.98, 1.02, 7)  # of the lengths: volumes −6 … +6 %
TIGHT = AbinitOptions(variables={"tolvrs": 1e-18})


def example(name: str) -> tuple[Crystal, PlaneWaveSettings, Deformation]:
    """Crystal, settings on a grid that both codes know, and a strained cell that holds what the example holds."""
    study = load_configuration(ROOT / "examples" / name)
    crystal = study.crystal.build()
    if not crystal.n_internal and len(crystal.primitive_atoms) > 1:
        crystal = crystal.with_inversion("free")  # so that atoms can be displaced
    settings = study.engine.model_copy(update=COARSER[name])
    reach = np.sqrt(8 * settings.cutoff) * 1.05 / np.pi  # of the density, in a cell that is stretched a little
    lengths = np.linalg.norm(crystal.primitive @ crystal.lattice_ref, axis=1)
    grid = tuple(_known_to_both(int(np.ceil(reach * length)) + 1) for length in lengths)
    settings = settings.model_copy(update={"fft_grid": grid})
    kept = [f"{kind}_{axis}" in study.sampling.hold for kind in ("lambda", "theta") for axis in "abc"]
    strain = Deformation.from_array(Deformation.identity(crystal).as_array() + np.where(kept, 0, STRAIN))
    return crystal, settings, strain


def held(name: str) -> dict[str, Any]:
    """One example's crystal."""
    crystal, settings, strain = example(name)
    internal = SHIFT * np.cos(np.arange(crystal.n_internal))
    start = time.perf_counter()
    theirs = AbinitEngine(crystal, settings, TIGHT).evaluate(strain, internal)
    seconds = time.perf_counter() - start
    full = _engine(crystal, settings, basis="full").evaluate(strain, internal)
    return {
        "against_abinit": differences(full, theirs, len(crystal.primitive_atoms), crystal.n_translations),
        "reduced_against_full": reduced_against_full(crystal, settings, strain, internal),
        "abinit_wall_seconds": round(seconds, 1),
    }


def format_case(name: str) -> dict[str, Any]:
    """One kept case."""
    theirs = json.loads((REFERENCES / name / "result.json").read_text())
    files = {symbol: PSEUDOPOTENTIAL_FOLDER / file for symbol, file in theirs.get("pseudopotentials", {}).items()}
    crystal = Crystal.from_lengths_and_angles(**theirs["crystal"])
    settings = PlaneWaveSettings(**{"smearing": "cold", **theirs["settings"]}, pseudopotentials=files)
    strain, internal = Deformation.from_array(theirs["deformation"]), np.array(theirs["internal"])
    full = _engine(crystal, settings, basis="full", scf_tolerance=1e-11).evaluate(strain, internal)
    atoms, copies = len(crystal.primitive_atoms), crystal.n_translations
    return {
        "against_abinit": {
            "free_energy": abs(full.free_energy / copies - theirs["free_energy"]) / atoms,
            "forces": _largest(full.forces[crystal.primitive_atoms] - theirs["forces"]),
            "stress": _largest(full.stress - theirs["stress"]),
        },
        "reduced_against_full": reduced_against_full(crystal, settings, strain, internal),
    }


def reduced_against_full(
    crystal: Crystal, settings: PlaneWaveSettings, strain: Deformation, internal: np.ndarray
) -> dict[str, float]:
    """In the same set of plane waves."""
    full = _engine(crystal, settings, basis="full", plane_waves="union").evaluate(strain, internal)
    reduced = _engine(crystal, settings, basis="reduced").evaluate(strain, internal)
    return differences(reduced, full, len(crystal.primitive_atoms), crystal.n_translations)


def differences(state: CellState, other: CellState, atoms: int, copies: int) -> dict[str, float]:
    """F an atom, largest component of forces and stress."""
    return {
        "free_energy": abs(state.free_energy - other.free_energy) / (atoms * copies),
        "forces": _largest(state.forces - other.forces),
        "stress": _largest(state.stress - other.stress),
    }


def equation_of_state(name: str) -> dict[str, Any]:
    """Volume (Å³ an atom), bulk modulus (eV/Å³) and its derivative of either code, and Δ in meV an atom."""
    crystal, settings, _ = example(name)
    angles = Deformation.identity(crystal).angles
    cells = [Deformation((x, x, x), angles) for x in LINEAR]
    engines: dict[str, Any] = {
        "abinit": AbinitEngine(crystal, settings, TIGHT),
        "full": _engine(crystal, settings, basis="full"),
        "full, union": _engine(crystal, settings, basis="full", plane_waves="union"),
        "reduced": _engine(crystal, settings, basis="reduced"),
    }
    pairs = (("full", "abinit"), ("reduced", "full, union"))
    volumes = np.array([cell.volume(crystal) for cell in cells]) / crystal.n_atoms
    zero = np.zeros(crystal.n_internal)
    energies = {
        code: [engine.evaluate(cell, zero).free_energy / crystal.n_atoms for cell in cells]
        for code, engine in engines.items()
    }
    fits = {code: _fit(volumes * ANGSTROM**3, np.array(found) * EV) for code, found in energies.items()}
    return {
        "volume_bulk_modulus_derivative": fits,
        "delta_mev": {f"{one} – {other}": 1e3 * float(delta(*fits[one], *fits[other])) for one, other in pairs},
        "largest_difference_of_f": {
            f"{one} – {other}": _largest(np.subtract(energies[one], energies[other])) for one, other in pairs
        },
    }


def _fit(volumes: np.ndarray, energies: np.ndarray) -> tuple[float, float, float]:
    fit = EquationOfState(volumes, energies, eos="birchmurnaghan")
    fit.fit(warn=False)
    _, bulk, derivative, volume = fit.eos_parameters
    return float(volume), float(bulk), float(derivative)


def _engine(crystal: Crystal, settings: PlaneWaveSettings, **update: Any) -> PlaneWaveEngine:
    return PlaneWaveEngine(crystal, settings.model_copy(update=update))


def _largest(array: np.ndarray) -> float:
    return float(np.abs(array).max())


def _known_to_both(least: int) -> int:
    """The smallest product of 2, 3 and 5 that is even and not less."""
    n = least + least % 2
    while True:
        rest = n
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return n
        n += 2


def cases() -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """Name and what to do, from cheap to dear."""
    for name in FORMATS:
        yield f"format {name}", lambda name=name: format_case(name)
    for name in COARSER:
        yield f"held {name.split('/')[0]}", lambda name=name: held(name)
    for name in ("02_silicon/silicon.toml", "03_aluminium/aluminium.toml"):
        yield f"eos {name.split('/')[0]}", lambda name=name: equation_of_state(name)


def main() -> None:
    """Measure what is not there yet, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=RESULT)
    parser.add_argument("--only", nargs="*", default=[], help="words that a case's name must hold one of")
    arguments = parser.parse_args()
    report = json.loads(arguments.json.read_text()) if arguments.json.is_file() else {}
    for name, measure in cases():
        if name in report or (arguments.only and not any(word in name for word in arguments.only)):
            continue
        start = time.perf_counter()
        report[name] = measure()
        print(f"{name} ({time.perf_counter() - start:.0f} s): {report[name]}", flush=True)
        arguments.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
