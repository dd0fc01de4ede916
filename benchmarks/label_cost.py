"""What a label costs: the embedded engine and ABINIT in turn, on the same core, one thread each.

    python benchmarks/label_cost.py --pseudopotential mg.pseu [--reference DIR] [--strains 5] [--json FILE]

hcp Mg at the paper's settings: 24 Ha, PW92, cold smearing 0.01 Ha, mesh 12×12×12 on the four-atom cell (1,732 k points
after folding). Two jobs: one self-consistent solve at fixed atoms (ABINIT with the fewest bands that give it the same
F), and one relaxed label with all fields and the stress. Without --pseudopotential both codes use HGH's magnesium.
--reference is a folder with published strains and an ABINIT relaxation (teh2021/published_test_errors.npz,
abinit_mg_paper/test2.json); without it strains are drawn here, and only the engine's relaxation is timed.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path
from statistics import median

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks._child import FIGURE_2, run  # noqa: E402
from tests.reference.abinit.make_references import MAGNESIUM, make_input, run_abinit  # noqa: E402

SETTINGS = {"cutoff": 24, "kmesh": [12, 12, 12], "smearing": "cold", "smearing_width": 0.01}


def strains(reference: Path | None, count: int, seed: int) -> list[list[float]]:
    """Figure 2's strain, then test strains drawn by seed (published ones where there is a reference folder)."""
    if reference is not None:
        with np.load(reference / "teh2021" / "published_test_errors.npz", allow_pickle=False) as file:
            table = file["D"]
    else:
        from cellfields import Crystal, sample_deformations

        crystal = Crystal.from_lengths_and_angles(**MAGNESIUM)
        table = np.array([d.as_array() for d in sample_deformations(crystal, 1000, seed=seed)])
    rows = np.random.default_rng(seed).choice(len(table), size=count - 1, replace=False)
    return [FIGURE_2, *(table[row].tolist() for row in rows)]


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pseudopotential", type=Path, help="ABINIT format-5 file for Mg (the paper's: mg.pseu)")
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--strains", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3, help="warm repeats of the engine (medians are reported)")
    parser.add_argument("--bands", type=int, default=4, help="ABINIT's bands; checked against two more on one strain")
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--seed", type=int, default=2021)
    parser.add_argument("--no-abinit", action="store_true")
    parser.add_argument("--abinit-from", type=Path, help="take ABINIT's times from an earlier --json of this machine")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    earlier = json.loads(arguments.abinit_from.read_text())["fixed_atoms"] if arguments.abinit_from else None
    command = f"taskset -c {arguments.core} abinit"
    settings = dict(SETTINGS)
    files = {}
    if arguments.pseudopotential is not None:
        files = {"Mg": str(arguments.pseudopotential.resolve())}
        settings["pseudopotentials"] = files
    report: dict = {"machine": platform.machine(), "settings": SETTINGS, "fixed_atoms": [], "relaxed": {}}

    heads = ("strain", "ours cold", "ours warm", "ABINIT", "ratio cold", "ratio warm", "ΔF (Ha)")
    print("{:>6} {:>10} {:>10} {:>9} {:>10} {:>10} {:>9}".format(*heads))
    for number, deformation in enumerate(strains(arguments.reference, arguments.strains, arguments.seed)):
        internal = [0.01683354, 0.00287153, 0.00038645] if number == 0 else [0.0, 0.0, 0.0]
        job = {"crystal": MAGNESIUM, "settings": settings, "deformation": deformation, "internal": internal}
        engine = run(job | {"relax": False, "repeats": 1 + arguments.repeats}, arguments.core)
        cold, warm = engine["seconds"][0], median(engine["seconds"][1:])
        row = {"deformation": deformation, "cold_s": cold, "warm_s": warm, "free_energy": engine["free_energy"]}
        if earlier is not None:
            old = earlier[number]
            assert old["deformation"] == deformation, "the earlier run had other strains"
            row |= {key: value for key, value in old.items() if key.startswith("abinit")}
            row |= {"ratio_cold": row["abinit_s"] / cold, "ratio_warm": row["abinit_s"] / warm}
        elif not arguments.no_abinit:
            case = {
                **job,
                "settings": {**settings, "bands": arguments.bands, "fft_grid": [27, 27, 45]},
                "variables": {"toldfe": 1e-10},
            }
            theirs, wall = run_abinit(*make_input(case, command))
            row |= {"abinit_s": wall, "abinit_bands": arguments.bands, "abinit_free_energy": theirs["free_energy"]}
            row |= {"ratio_cold": wall / cold, "ratio_warm": wall / warm}
            if number == 0:
                case["settings"]["bands"] = arguments.bands + 2
                more, _ = run_abinit(*make_input(case, command))
                row["abinit_free_energy_two_more_bands"] = more["free_energy"]
        report["fixed_atoms"].append(row)
        print(
            f"{number:6d} {cold:9.2f}s {warm:9.2f}s {row.get('abinit_s', float('nan')):8.1f}s "
            f"{row.get('ratio_cold', float('nan')):10.1f} {row.get('ratio_warm', float('nan')):10.1f} "
            f"{row['free_energy'] - row.get('abinit_free_energy', float('nan')):9.1e}",
            flush=True,
        )

    job = {"crystal": MAGNESIUM, "settings": settings, "deformation": FIGURE_2, "internal": []}
    label = run(job | {"relax": True, "repeats": 1 + arguments.repeats}, arguments.core)
    report["relaxed"] = {"cold_s": label["seconds"][0], "warm_s": median(label["seconds"][1:]), **label}
    provenance = label["provenance"]
    print(
        f"\nrelaxed label (fields, forces, stress): cold {label['seconds'][0]:.2f} s, "
        f"warm {report['relaxed']['warm_s']:.2f} s; {provenance['solves']} solves on the full mesh, "
        f"{provenance['coarse_solves']} on the coarse one; largest force {provenance['max_force']:.1e} Ha/Bohr"
    )
    if arguments.reference is not None and files:
        theirs = json.loads((arguments.reference / "abinit_mg_paper" / "test2.json").read_text())
        seconds, steps = theirs["wall_seconds_one_core"], theirs["relaxation_steps"]
        warm = report["relaxed"]["warm_s"]
        report["relaxed"] |= {
            "abinit_s": seconds,
            "abinit_steps": steps,
            "ratio": seconds / warm,
            "fewer_steps": steps / provenance["solves"],
            "cheaper_step": (seconds / steps) / (warm / provenance["solves"]),
        }
        print(
            f"ABINIT (recorded): {seconds} s, {steps} steps. Ratio {seconds / warm:.0f} = "
            f"{report['relaxed']['fewer_steps']:.1f} (fewer steps) × "
            f"{report['relaxed']['cheaper_step']:.0f} (cheaper step); "
            f"F − ABINIT's = {label['free_energy'] - theirs['free_energy_ha']:.1e} Ha per 2 atoms"
        )
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
