"""The surrogate of a study against plain baselines that learn from the same symmetry images, in the same PCA modes.

    cellfields label STUDY.toml;  python benchmarks/demo_baselines.py STUDY.toml [--json FILE]

Mean and largest errors on the study's test strains; nothing is solved. For the numbers of examples/01_magnesium_quick.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from cellfields.engines.contract import Engine
from cellfields.evaluation.baselines import BaselineEngine
from cellfields.evaluation.evaluate import evaluate
from cellfields.pipeline.study import Study
from cellfields.surrogate import Surrogate
from cellfields.surrogate.images import images_of

NAMES = ("quadratic", "linear", "mean")
SHOWN = ("free_energy", "entropic_energy", "density.relative_l2", "position", "stress_gpa")


def main() -> None:
    """Train, judge, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    study = Study.load(arguments.study)
    store, recipe = study.open_store(), study.configuration.surrogate
    states, test = study.training_states(store), study.test_states(store)
    surrogate = Surrogate.train(study.crystal, states, recipe, identity=study.identity)
    engines: dict[str, Engine] = {"surrogate": replace(surrogate, outside="flag")}
    images, _ = images_of(study.crystal, states, recipe, study.identity)
    strains = np.array([state.deformation.as_array() for state in images])
    encoded = surrogate.encoding.encode(images)
    for name in NAMES:
        engines[f"{name}, images"] = BaselineEngine.fit(name, surrogate.encoding, strains, encoded)
        engines[name] = BaselineEngine.train(study.crystal, states, recipe, name=name)
    found = evaluate(engines, test)
    table = {
        "study": arguments.study.name,
        "training_states": len(states),
        "test_states": len(test),
        "units": {"energies": "Hartree per cell", "position": "Bohr", "stress_gpa": "GPa", "fields": "ratio"},
        "spread": {q: s.standard_deviation for q, s in found.spread.items() if q in SHOWN},
        "errors": {
            name: {q: result.summary(q) for q in SHOWN if q in result.errors} for name, result in found.engines.items()
        },
    }
    text = json.dumps(table, indent=1)
    print(text)
    if arguments.json is not None:
        arguments.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
