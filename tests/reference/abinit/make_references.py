"""Make the ABINIT numbers that the tests compare with: runs the ABINIT engine's own input, keeps input and numbers.

    python tests/reference/abinit/make_references.py [--check] [CASE ...]      (needs the Debian package abinit)

Each case folder is then ready to run (run.abi and the pseudopotential, unless that is a file of abinit-data, which the
first lines of run.abi name) and holds result.json beside it; --check runs the cases and compares with the numbers that
are there instead. Positions are in the primitive cell, seen from the inversion centre where there is one, exactly as
the engines have them. The cases of magnesium, al_fcc and si_diamond were made before there was an ABINIT engine here:
their inputs name Debian's pseudopotential files (abinit-data), which hold the same numbers as the built-in table, and
relax with ionmov 2.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cellfields import Crystal, Deformation, PlaneWaveSettings
from cellfields.engines.abinit import AbinitEngine, AbinitOptions
from cellfields.engines.abinit.input import AbinitInput
from cellfields.engines.abinit.output import output_files, read_output
from cellfields.engines.abinit.run import finished_run

HERE = Path(__file__).parent
ENERGIES_ALONE = {"prtwf": 0, "prtden": 0, "prtvclmb": 0, "prtvha": 0}

MAGNESIUM = {
    "lengths": [5.89, 10.201779256580686, 9.56],
    "angles": [90, 90, 90],
    "species": ["Mg"] * 4,
    "positions": [[0, 0, 0], [0.5, 0.5, 0], [0, 2 / 3, 0.5], [0.5, 1 / 6, 0.5]],
}
ALUMINIUM = {"lengths": [5.40] * 3, "angles": [60, 60, 60], "species": ["Al"], "positions": [[0, 0, 0]]}
SILICON = {
    "lengths": [7.20] * 3,
    "angles": [60, 60, 60],
    "species": ["Si", "Si"],
    "positions": [[0, 0, 0], [0.25, 0.25, 0.25]],
}
_COMMON = {"smearing": "cold", "smearing_width": 0.01}
PSEUDOPOTENTIAL_FOLDER = Path("/usr/share/abinit/psp")  # of Debian's abinit-data
ALUMINIUM_STRAINED = {"crystal": ALUMINIUM, "deformation": [1.010, 0.992, 1.004, 60.4, 59.5, 60.2], "internal": []}
SILICON_STRAINED = {
    "crystal": SILICON,
    "deformation": [1.012, 0.994, 1.003, 60.6, 59.2, 60.3],
    "internal": [0.004, -0.003, 0.002],
}
_METAL = {"cutoff": 8, "kmesh": [4, 4, 4], "bands": 8, "fft_grid": [20, 20, 20], **_COMMON}
_INSULATOR = {"cutoff": 8, "kmesh": [2, 2, 2], "bands": 4, "fft_grid": [24, 24, 24], "smearing": "none"}
_ONCV_PW, _ONCV_PW_LARGE = "Pseudodojo_nc_sr_04_pw_standard_psp8", "Pseudodojo_nc_sr_04_pw_largecore_psp8"


def _of_files(cell: dict, settings: dict, pseudopotentials: dict[str, str], **more: object) -> dict:
    """A case with files of abinit-data, one format or functional each."""
    return {**cell, "pseudopotentials": pseudopotentials, "settings": {**settings, **more}, "variables": _TIGHT}


def _zinc_blende(first: str, second: str) -> dict:
    cell = {"lengths": [7.5] * 3, "angles": [60] * 3, "species": [first, second]}
    return {**SILICON_STRAINED, "crystal": {**cell, "positions": SILICON["positions"]}}


_TIGHT = {"tolvrs": 1e-18}
FORMATS = {
    "al_psp1": _of_files(ALUMINIUM_STRAINED, _METAL, {"Al": "13al.pspnc"}),
    "si_psp1": _of_files(SILICON_STRAINED, _INSULATOR, {"Si": "14si.pspnc"}),
    "si_gth": _of_files(SILICON_STRAINED, _INSULATOR, {"Si": "14si.pspgth"}),
    "si_psp5": _of_files(SILICON_STRAINED, _INSULATOR, {"Si": "14si.Hamann_mod"}),
    "si_psp10": _of_files(SILICON_STRAINED, _INSULATOR, {"Si": "14Si_pade-q4"}),
    "al_psp8": _of_files(ALUMINIUM_STRAINED, _METAL, {"Al": f"{_ONCV_PW}/Al.psp8"}),
    "si_psp8": _of_files(SILICON_STRAINED, _INSULATOR, {"Si": f"{_ONCV_PW}/Si.psp8"}),
    "al_psp8_pbe": _of_files(ALUMINIUM_STRAINED, _METAL, {"Al": "13_Al_psml.psp8"}, functional="pbe"),
    "si_psp8_pbe": _of_files(SILICON_STRAINED, _INSULATOR, {"Si": "14_Si_psml.psp8"}, functional="pbe"),
    "si_psp8_pbe_no_core": _of_files(SILICON_STRAINED, _INSULATOR, {"Si": "Si_GGA_noNLCC.psp8"}, functional="pbe"),
    "mg2si_psp8": _of_files(  # a core on the inversion centre and a pair of them
        {
            "crystal": {
                "lengths": [8.4] * 3,
                "angles": [60] * 3,
                "species": ["Si", "Mg", "Mg"],
                "positions": [[0, 0, 0], [0.25, 0.25, 0.25], [0.75, 0.75, 0.75]],
            },
            "deformation": [1.012, 0.994, 1.003, 60.6, 59.2, 60.3],
            "internal": [0.004, -0.003, 0.002],
        },
        {**_METAL, "cutoff": 7, "kmesh": [2, 2, 2], "bands": 10, "fft_grid": [24, 24, 24], "smearing": "gaussian"},
        {"Si": f"{_ONCV_PW}/Si.psp8", "Mg": f"{_ONCV_PW}/Mg-low.psp8"},
    ),
    "graphene_pbe": _of_files(  # a sheet and the empty space above it
        {
            "crystal": {
                "lengths": [4.65, 4.65, 14.0],
                "angles": [90, 90, 120],
                "species": ["C", "C"],
                "positions": [[1 / 3, 2 / 3, 0.5], [2 / 3, 1 / 3, 0.5]],
            },
            "deformation": [1.01, 0.99, 1.0, 90.0, 90.0, 119.0],
            "internal": [0.003, 0.002, 0.004],
        },
        {"cutoff": 14, "kmesh": [4, 4, 1], "bands": 8, "fft_grid": [20, 20, 60], "smearing": "fermi-dirac"},
        {"C": "C.psp8"},
        smearing_width=0.005,
        functional="pbe",
    ),
    "gaas_psp8": _of_files(  # no inversion centre
        _zinc_blende("Ga", "As"),
        _INSULATOR,
        {"Ga": f"{_ONCV_PW_LARGE}/Ga-low.psp8", "As": f"{_ONCV_PW_LARGE}/As.psp8"},
    ),
    "alas_psp8_pbe": _of_files(
        _zinc_blende("Al", "As"), _INSULATOR, {"Al": "13_Al_psml.psp8", "As": "As-psval.psp8"}, functional="pbe"
    ),
    "si_pbe": {**SILICON_STRAINED, "settings": {**_INSULATOR, "functional": "pbe"}, "variables": _TIGHT},
}
CASES: dict[str, dict] = {
    **FORMATS,
    "mg_strained_a": {
        "crystal": MAGNESIUM,
        "deformation": [0.9696, 0.9237, 0.9906, 92.1598, 85.6196, 87.3824],
        "internal": [0.012, 0.018, -0.006],
        "settings": {"cutoff": 10, "kmesh": [4, 2, 2], "bands": 8, "fft_grid": [18, 18, 30], **_COMMON},
    },
    "mg_strained_b": {
        "crystal": MAGNESIUM,
        "deformation": [1.0312, 1.0123, 0.9581, 88.8120, 92.4310, 90.9020],
        "internal": [-0.004, 0.008, 0.003],
        "settings": {
            "cutoff": 8,
            "kmesh": [4, 3, 3],
            "bands": 8,
            "fft_grid": [18, 18, 27],
            "smearing": "fermi-dirac",
            "smearing_width": 0.005,
        },
    },
    "al_fcc": {
        "crystal": ALUMINIUM,
        "deformation": [1.010, 0.992, 1.004, 60.4, 59.5, 60.2],
        "internal": [],
        "settings": {"cutoff": 12, "kmesh": [6, 6, 6], "bands": 8, "fft_grid": [20, 20, 20], **_COMMON},
    },
    "si_diamond": {
        "crystal": SILICON,
        "deformation": [1.012, 0.994, 1.003, 60.6, 59.2, 60.3],
        "internal": [0.004, -0.003, 0.002],
        "settings": {"cutoff": 10, "kmesh": [3, 3, 3], "bands": 4, "fft_grid": [24, 24, 24], "smearing": "none"},
    },
    "mgal_zinc_blende": {  # no inversion centre; a metal
        "crystal": {
            "lengths": [7.40] * 3,
            "angles": [60, 60, 60],
            "species": ["Mg", "Al"],
            "positions": [[0, 0, 0], [0.25, 0.25, 0.25]],
        },
        "deformation": [1.012, 0.994, 1.003, 60.6, 59.2, 60.3],
        "internal": [0.012, -0.020, 0.007],
        "settings": {"cutoff": 8, "kmesh": [3, 3, 3], "bands": 8, "fft_grid": [24, 24, 24], **_COMMON},
    },
    "gaas_zinc_blende": {  # no inversion centre; an insulator
        "crystal": {
            "lengths": [7.50] * 3,
            "angles": [60, 60, 60],
            "species": ["Ga", "As"],
            "positions": [[0, 0, 0], [0.25, 0.25, 0.25]],
        },
        "deformation": [1.012, 0.994, 1.003, 60.6, 59.2, 60.3],
        "internal": [0.004, -0.003, 0.002],
        "settings": {"cutoff": 10, "kmesh": [3, 3, 3], "bands": 4, "fft_grid": [27, 27, 27], "smearing": "none"},
    },
    "gaas_relaxed": {
        "crystal": {
            "lengths": [7.50] * 3,
            "angles": [60, 60, 60],
            "species": ["Ga", "As"],
            "positions": [[0, 0, 0], [0.25, 0.25, 0.25]],
        },
        "deformation": [1.0, 1.0, 1.01, 61.5, 60.0, 59.0],
        "internal": [0.0, 0.0, 0.0],
        "relax": True,
        "settings": {"cutoff": 8, "kmesh": [2, 2, 2], "bands": 4, "fft_grid": [24, 24, 24], "smearing": "none"},
    },
    "mg_paper_settings": {  # the paper's mesh and cutoff with the built-in pseudopotential; takes some minutes
        "crystal": MAGNESIUM,
        "deformation": [0.9696, 0.9237, 0.9906, 92.1598, 85.6196, 87.3824],
        "internal": [0.0168, 0.0029, 0.0004],
        "settings": {"cutoff": 24, "kmesh": [12, 12, 12], "bands": 5, "fft_grid": [27, 27, 45], **_COMMON},
    },
    "mg_relaxed": {
        "crystal": MAGNESIUM,
        "deformation": [1.0200, 0.9650, 1.0110, 91.5000, 88.4000, 92.0000],
        "internal": [0.0, 0.0, 0.0],
        "relax": True,
        "settings": {"cutoff": 8, "kmesh": [4, 2, 2], "bands": 8, "fft_grid": [18, 18, 27], **_COMMON},
    },
}


def make_input(case: Mapping[str, Any], command: str = "abinit") -> tuple[AbinitInput, AbinitOptions]:
    """The complete input of a case, for energies, forces and stress alone, and how to run it."""
    crystal = Crystal.from_lengths_and_angles(**case["crystal"])
    options = AbinitOptions(command=command, variables=case.get("variables", {"tolvrs": 1e-20}))
    files = {symbol: PSEUDOPOTENTIAL_FOLDER / name for symbol, name in case.get("pseudopotentials", {}).items()}
    settings = PlaneWaveSettings(**{"smearing": "cold", **case["settings"]}, pseudopotentials=files)
    engine = AbinitEngine(crystal, settings, options)
    internal = np.array(case["internal"])
    deformation = Deformation.from_array(case["deformation"])
    text = engine.input(deformation, internal, relax=case.get("relax", False), bands=case["settings"]["bands"])
    return text.with_variables(ENERGIES_ALONE), options


def run_abinit(abinit_input: AbinitInput, options: AbinitOptions) -> tuple[dict[str, Any], float]:
    """Numbers per primitive cell, and the wall time in seconds."""
    with finished_run(abinit_input, options) as run:
        output = read_output({"GSR": output_files(run.folder)["GSR"]})
    energies = {{"entropic": "entropic_energy"}.get(name, name): value for name, value in output.energies.items()}
    numbers = {
        "code": f"ABINIT {output.version}",
        **energies,
        "stress": output.stress.tolist(),
        "positions_primitive": output.positions.tolist(),
        "forces": output.forces.tolist(),
    }
    return numbers, run.wall_seconds


def largest_difference(numbers: Mapping[str, Any], kept: Mapping[str, Any]) -> str:
    """In words: of energies, forces, stress and positions from those that are kept."""
    groups = {
        "F": ("free_energy",),
        "other energies": [n for n, x in numbers.items() if isinstance(x, float) and n != "free_energy" and n in kept],
        "forces": ("forces",),
        "stress": ("stress",),
        "positions": ("positions_primitive",),
    }
    largest = {
        group: max(float(np.abs(np.array(numbers[n]) - np.array(kept[n])).max()) for n in names)
        for group, names in groups.items()
    }
    return ", ".join(f"{group} {value:.1e}" for group, value in largest.items())


def run(name: str, check: bool) -> None:
    """Run one case; compare with its folder, or write it."""
    abinit_input, options = make_input(CASES[name])
    numbers, wall = run_abinit(abinit_input, options)
    folder = HERE / name
    if check:
        kept = json.loads((folder / "result.json").read_text())
        print(f"{name}: {wall:.1f} s; differences: {largest_difference(numbers, kept)}", flush=True)
        return
    folder.mkdir(exist_ok=True)
    if "pseudopotentials" in CASES[name]:  # abinit-data has them
        comments = [f"# {symbol}: {file} of abinit-data\n" for symbol, file in CASES[name]["pseudopotentials"].items()]
        (folder / "run.abi").write_text("".join(comments) + abinit_input.text)
    else:
        abinit_input.write(folder)
    result = {"wall_seconds_one_core": round(wall, 1)} | CASES[name] | numbers
    (folder / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    print(name, result["free_energy"], f"{wall:.1f} s")


if __name__ == "__main__":
    names = [word for word in sys.argv[1:] if word != "--check"]
    for case in names or CASES:
        run(case, "--check" in sys.argv)
