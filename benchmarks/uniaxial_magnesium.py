"""The paper's Figures 9 and 10: uniaxial stress tests of magnesium, learned and from first principles.

    python benchmarks/uniaxial_magnesium.py STUDY.toml MODEL.safetensors OUT [--published FILE.npz] [--strains 21]
                                            [--directions 1 2 3] [--dft-instability 2]

STUDY says how first principles solve (the paper's settings); each of its points is kept in OUT/dft_x1.jsonl … as soon
as it is converged, and the same command goes on from there; so is DFT's instability. Stress is eq. 14's, as the paper
plots it; DFT's residual stress and strains are subtracted from DFT and model alike, the published curves' own from
them. Writes figure_9.png, figure_10.png and uniaxial.json: RMS differences of stress, instabilities, solves.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cellfields import Surrogate
from cellfields.evaluation.figures import snapshot_figure, uniaxial_figure
from cellfields.mechanics import UniaxialCurve, UniaxialTable, find_instability, uniaxial_test
from cellfields.pipeline.study import Study

SNAPSHOTS = (-0.1, -0.08, -0.05, 0.0, 0.05, 0.1)


def published_tables(path: Path) -> dict[int, UniaxialTable]:
    """The authors' curves by the sum route."""
    with np.load(path, allow_pickle=False) as file:
        return {
            d: UniaxialTable(d, file[f"strain_x{d}"][:, d - 1], file[f"stress_x{d}"], file[f"strain_x{d}"])
            for d in (1, 2, 3)
        }


def rms_difference(model: UniaxialTable, truth: UniaxialTable, stable_from: float, largest: float = 1.0) -> float:
    """Hartree/Bohr³, over the strains above the instability, up to ``largest``; each table as it is drawn."""
    kept = (truth.strain > stable_from) & (np.abs(truth.strain) < largest)
    return float(np.sqrt(np.mean((np.interp(truth.strain, model.strain, model.stress) - truth.stress)[kept] ** 2)))


def dft_instability(study: Study, true: UniaxialCurve, out: Path) -> dict[str, Any] | None:
    """Where DFT's path ends, found once and kept."""
    path = out / f"dft_instability_x{true.direction}.json"
    if not path.is_file():
        found = find_instability(study.engine, true.direction, towards=-0.1, begin=true.at(-0.06))
        path.write_text(json.dumps(None if found is None else found.to_dict(), indent=1) + "\n")
    return json.loads(path.read_text())


def figure_10(surrogate: Surrogate, learned: UniaxialCurve, true: UniaxialCurve, path: Path) -> None:
    """Snapshots along x₂: predicted density and atoms, true atoms."""
    shown, truth = {}, {}
    for strain in SNAPSHOTS:
        point, true_point = learned.at(strain), true.at(strain)
        title = f"ε₂₂ = {point.strain:+.2f}"
        shown[title] = surrogate.solve(point.deformation)
        truth[title] = replace(shown[title], positions=surrogate.crystal.positions(true_point.internal))
    snapshot_figure(shown, truth).savefig(path, dpi=144)


def main() -> None:
    """Run, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--published", type=Path)
    parser.add_argument("--strains", type=int, default=21)
    parser.add_argument("--directions", type=int, nargs="+", choices=(1, 2, 3), default=(1, 2, 3))
    parser.add_argument(
        "--dft-instability",
        type=int,
        nargs="+",
        choices=(1, 2, 3),
        default=(),
        help="find DFT's too, from ε = -0.06 on",
    )
    arguments = parser.parse_args()
    study, surrogate = Study.load(arguments.study), Surrogate.load(arguments.model, outside="flag")
    arguments.out.mkdir(parents=True, exist_ok=True)
    strains = np.round(np.linspace(-0.1, 0.1, arguments.strains), 10).tolist()
    published = {} if arguments.published is None else published_tables(arguments.published)
    curves: dict[str, list[UniaxialTable]] = {"ML": [], "DFT": []}
    report: dict = {"n_train": surrogate.metadata.get("n_train"), "directions": {}}
    for direction in arguments.directions:
        learned = uniaxial_test(surrogate, direction, strains)
        true = uniaxial_test(
            study.engine,
            direction,
            strains,
            record=arguments.out / f"dft_x{direction}.jsonl",
            on_point=lambda point, state, d=direction: print(
                f"x{d} {point.strain:+.3f}: {point.evaluations} solves, last {state.provenance['wall_seconds']:.0f} s",
                flush=True,
            ),
        )
        truth = true.table("small-strain")
        drawn = {"ML": learned.table("small-strain").subtracted(truth), "DFT": truth.subtracted()}
        for name, table in drawn.items():
            curves[name].append(table)
        if direction in published:
            curves.setdefault("published ML (sum)", []).append(published[direction].subtracted())
        found = find_instability(surrogate, direction, towards=-0.1, outside="flag")
        ends = {"ML": None if found is None else found.to_dict()}
        if direction in arguments.dft_instability:
            ends["DFT"] = dft_instability(study, true, arguments.out)
        onset = max([-0.1 - 1e-9, *(end["strain"] for end in ends.values() if end is not None)])
        report["directions"][direction] = {
            "rms_stress_difference": rms_difference(drawn["ML"], drawn["DFT"], onset),
            "rms_stress_difference_everywhere": rms_difference(drawn["ML"], drawn["DFT"], -1.0),
            "rms_stress_difference_within_8_percent": rms_difference(drawn["ML"], drawn["DFT"], onset, 0.0801),
            "residual": {"ML": learned.table().residual()[0], "DFT": true.table().residual()[0]},
            "instability": ends,
            "turning_points": {
                name: curve.table().turning_points() for name, curve in (("ML", learned), ("DFT", true))
            },
            "dft_solves": true.evaluations,
            "failures": {"ML": list(learned.failures), "DFT": list(true.failures)},
            "outside_domain": [p.strain for p in learned.points if p.in_domain is False],
        }
        if direction in published:
            theirs = published[direction].subtracted()
            report["directions"][direction]["published_rms_stress_difference"] = rms_difference(
                theirs, drawn["DFT"], onset
            )
        print(json.dumps(report["directions"][direction], indent=1), flush=True)
        if direction == 2:
            figure_10(surrogate, learned, true, arguments.out / "figure_10.png")
    uniaxial_figure(curves, as_marks=["DFT"]).savefig(arguments.out / "figure_9.png", dpi=144)
    (arguments.out / "uniaxial.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
