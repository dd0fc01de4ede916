"""Make the ABINIT numbers that the tests compare with: writes the input, runs ABINIT, keeps input and numbers.

    python tests/reference/abinit/make_references.py [CASE ...]      (needs the Debian packages abinit, abinit-data)

Each case folder then holds run.abi (the complete input, pseudopotential named by its ABINIT file) and result.json.
Positions are in the 2-atom (or 1-atom) primitive cell seen from the inversion centre, exactly as the engine has them.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers

from cellfields import Crystal, Deformation

HERE = Path(__file__).parent
PSEUDOPOTENTIALS = {"Mg": "12mg.2.hgh", "Al": "13al.3.hgh", "Si": "14si.4.hgh"}
PSEUDOPOTENTIAL_FOLDER = Path("/usr/share/abinit/psp")
OCCOPT = {"cold": 4, "fermi-dirac": 3, "none": 1}

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
CASES: dict[str, dict] = {
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


def abinit_input(case: dict) -> str:
    """The complete ABINIT input of a case, in the primitive cell with the folded mesh."""
    crystal = Crystal.from_lengths_and_angles(**case["crystal"])
    settings = case["settings"]
    lattice = Deformation.from_array(case["deformation"]).lattice(crystal)
    primitive, positions = crystal.to_primitive(lattice, crystal.positions(case["internal"]))
    species = [crystal.species[i] for i in crystal.primitive_atoms]
    symbols = list(dict.fromkeys(species))
    files = PSEUDOPOTENTIALS | case.get("pseudopotentials", {})
    mesh = np.rint(np.array(settings["kmesh"])[:, None] * np.linalg.inv(crystal.primitive)).astype(int)
    rows = lambda array, form: "\n".join("  " + " ".join(format(x, form) for x in row) for row in array)  # noqa: E731
    smearing = settings["smearing"]
    lines = [
        'pseudos "' + ", ".join(files[s] for s in symbols) + '"',
        *([] if "pseudopotentials" in case else ['pp_dirpath "$ABI_PSPDIR"']),
        "acell 3*1.0",
        "rprim\n" + rows(primitive, ".14f"),
        f"natom {len(species)}",
        f"ntypat {len(symbols)}",
        "typat " + " ".join(str(symbols.index(s) + 1) for s in species),
        "znucl " + " ".join(str(atomic_numbers[s]) for s in symbols),
        "xred\n" + rows(positions, ".14f"),
        f"ecut {settings['cutoff']}",
        "ngfft " + " ".join(map(str, settings["fft_grid"])),
        "kptrlatt\n" + rows(mesh, "d"),
        "nshiftk 1\nshiftk 0 0 0",
        "ixc 7",
        f"occopt {OCCOPT[smearing]}",
        *([] if smearing == "none" else [f"tsmear {settings['smearing_width']}"]),
        f"nband {settings['bands']}",
        "nstep 80\nchksymbreak 0\nprtwf 0\nprtden 0\nprteig 0",
        "ionmov 2\nntime 60\ntolmxf 5e-7\ntoldff 1e-9" if case.get("relax") else case.get("stop", "tolvrs 1e-20"),
    ]
    return "\n".join(lines) + "\n"


def parse(text: str) -> dict:
    """Numbers from the YAML blocks of ABINIT's main output (the last of each)."""
    terms = text.split("!EnergyTerms")[-1]
    names = {
        "kinetic": "kinetic",
        "hartree": "hartree",
        "xc": "xc",
        "Ewald energy": "ewald",
        "psp_core": "psp_core",
        "local_psp": "local_psp",
        "non_local_psp": "nonlocal_psp",
        "-kT*entropy": "entropic_energy",
        "total_energy": "free_energy",
        "band_energy": "band_energy",
    }
    number = r"\s*:\s*([-+0-9.EeDd]+)"
    result: dict = {}
    for theirs, ours in names.items():
        found = re.search(rf"'?{re.escape(theirs)}'?" + number, terms)
        if found:
            result[ours] = float(found.group(1))
    ground = text.split("!ResultsGS")[-1]
    fermi = re.search(r"fermie" + number, ground)
    result["fermi_energy"] = float(fermi.group(1)) if fermi else None
    stress = re.findall(r"- \[([^\]]+)\]", ground.split("cartesian_stress_tensor")[1])[:3]
    result["stress"] = [[float(x) for x in row.split(",")[:3]] for row in stress]
    atoms = int(re.search(r"natom\s+(\d+)", text).group(1))  # type: ignore[union-attr]
    for key, label in (
        ("positions_primitive", "reduced coordinates (array xred)"),
        ("forces", "cartesian forces (hartree/bohr) at end:"),
    ):
        rows = text.split(label)[-1].splitlines()[1 : atoms + 1]
        result[key] = [[float(x) for x in row.split()[-3:]] for row in rows]
    return result


def run_abinit(text: str, prefix: tuple[str, ...] = ()) -> tuple[dict, float]:
    """Run an input in a scratch folder on one thread; returns the parsed numbers and the wall time in seconds."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ABI_PSPDIR": str(PSEUDOPOTENTIAL_FOLDER)}
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch, "run.abi").write_text(text)
        start = time.perf_counter()
        subprocess.run([*prefix, "abinit", "run.abi"], cwd=scratch, env=environment, check=True, capture_output=True)
        wall = time.perf_counter() - start
        output = Path(scratch, "run.abo").read_text()
    version = re.search(r"\.Version\s+(\S+)", output)
    return {"code": f"ABINIT {version.group(1) if version else '?'}"} | parse(output), wall


def run(name: str) -> None:
    """Run one case and write its folder."""
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    text = abinit_input(CASES[name])
    (folder / "run.abi").write_text(text)
    numbers, wall = run_abinit(text)
    result = {"wall_seconds_one_core": round(wall, 1)} | CASES[name] | numbers
    (folder / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    print(name, result["free_energy"], f"{wall:.1f} s")


if __name__ == "__main__":
    for case in sys.argv[1:] or CASES:
        run(case)
