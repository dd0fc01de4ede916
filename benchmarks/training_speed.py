"""How long training takes: the recipes of a surrogate beside each other, the paper's protocol beside other packages.

    python benchmarks/training_speed.py [--run RUN --reference DIR] [--epochs 20] [--turns 3] [--json FILE]

1. Epochs of the paper's protocol (6-500-500-50 and 6-50-100-50-1, tanh, Adam 1e-3, batches of 128, 2,000 samples of a
   smooth function): ours (JAX, single precision, compiled before), scikit-learn's MLPRegressor in single and in double
   precision, and PyTorch where it is installed. In turn, one thread, medians of CPU and wall time of an epoch.
2. With labels of a reproduction (RUN, read only): the paper's protocol whole (4,000 epochs), the recipe "best" and a
   lean form of it (polynomials of degree 5 alone) on the same states: time, and mean errors on the test strains, so
   that "as accurate" can be checked.
3. All at the paper's size, 500 strains with four images each, on labels of a closed formula: "best" as it is and lean,
   the paper's protocol as 4,000 times the epochs of part 1 for its four large and two small networks.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import argparse  # noqa: E402
import importlib.util  # noqa: E402
import json  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
import warnings  # noqa: E402
from collections.abc import Callable  # noqa: E402
from itertools import pairwise  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from cellfields import Surrogate, sample_deformations  # noqa: E402
from cellfields.evaluation.evaluate import HeldOutStates  # noqa: E402
from cellfields.reproductions.teh2021.protocol import teh2021  # noqa: E402
from cellfields.reproductions.teh2021.workbench import Workbench  # noqa: E402
from cellfields.surrogate import Recipe  # noqa: E402
from cellfields.surrogate.training import fit_regressor  # noqa: E402
from tests.toy import ToyEngine, magnesium  # noqa: E402

SAMPLES = 2000
LEAN = Recipe(name="best", degree=5, blend=1, members=0)
NETWORKS = {"field, 6-500-500-50": ((500, 500), 50), "small, 6-50-100-50-1": ((50, 100, 50), 1)}


def timed(call: Callable[[], object]) -> dict[str, float]:
    """Seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def epochs(widths: tuple[int, ...], outputs: int, count: int, turns: int) -> dict[str, dict[str, float]]:
    """Milliseconds an epoch, by package."""
    rng = np.random.default_rng(0)
    strains = np.array([d.as_array() for d in sample_deformations(magnesium(), SAMPLES, seed=1)])
    z = (strains - strains.mean(axis=0)) / strains.std(axis=0)
    y = np.tanh(z @ rng.normal(size=(6, outputs)) / 3) + 0.1 * (z @ rng.normal(size=(6, outputs))) ** 2
    y = (y - y.mean(axis=0)) / y.std(axis=0)
    recipe = Recipe(epochs=count)
    routes: dict[str, Callable[[], object]] = {"ours": lambda: fit_regressor("density", strains, y, widths, recipe)}
    for dtype in (np.float32, np.float64):
        x, t = z.astype(dtype), (y if outputs > 1 else y[:, 0]).astype(dtype)
        routes[f"scikit-learn, {np.dtype(dtype).name}"] = lambda x=x, t=t: scikit_learn(x, t, widths, count)
    if importlib.util.find_spec("torch") is not None:
        routes["PyTorch, float32"] = lambda: pytorch(z.astype(np.float32), y.astype(np.float32), widths, count)
    for route in routes.values():  # compile, allocate
        route()
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in routes}
    for _ in range(turns):
        for name, route in routes.items():
            rows[name].append(timed(route))
    return {
        name: {f"{kind}_ms": 1e3 * float(np.median([row[kind] for row in found])) / count for kind in ("cpu", "wall")}
        for name, found in rows.items()
    }


def scikit_learn(x: np.ndarray, y: np.ndarray, widths: tuple[int, ...], count: int) -> None:
    """The same network and optimiser; its penalty is on all kernels."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    network = MLPRegressor(
        hidden_layer_sizes=widths, activation="tanh", solver="adam", alpha=1e-4, batch_size=128,
        learning_rate_init=1e-3, max_iter=count, tol=0.0, n_iter_no_change=count + 1, random_state=0,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(x, y)


def pytorch(x: np.ndarray, y: np.ndarray, widths: tuple[int, ...], count: int) -> None:
    """The same network, optimiser and penalty."""
    import torch

    torch.set_num_threads(1)
    sizes = (x.shape[1], *widths, y.shape[1])
    linear = [torch.nn.Linear(a, b) for a, b in pairwise(sizes)]
    layers = [part for layer in linear[:-1] for part in (layer, torch.nn.Tanh())]
    network = torch.nn.Sequential(*layers, linear[-1])
    adam = torch.optim.Adam(network.parameters(), lr=1e-3, eps=1e-7)
    inputs, targets = torch.from_numpy(x), torch.from_numpy(y)
    for _ in range(count):
        for rows in torch.randperm(len(x)).split(128):
            adam.zero_grad()
            loss = ((network(inputs[rows]) - targets[rows]) ** 2).mean()
            (loss + 1e-4 * sum((layer.weight**2).sum() for layer in linear[:-1])).backward()
            adam.step()


def with_labels(run: Path, reference: Path | None) -> dict:
    """Both recipes on the states that are solved in a reproduction's directory."""
    bench = Workbench(teh2021(reference), run, solve=False)
    training, test = bench.training, bench.test
    held_out = HeldOutStates.of(bench.crystal, test.states, bench.plan.grid)
    found: dict = {"training_states": len(training), "test_states": len(test), "recipes": {}}
    for name, recipe in (("lean", LEAN), ("best", bench.plan.best), ("paper", bench.plan.paper)):
        models: list[Surrogate] = []
        seconds = timed(
            lambda recipe=recipe, models=models: models.append(
                Surrogate.train(bench.crystal, training.states, recipe, identity=training.store.identity)
            )
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of strains outside the domain
            errors = held_out.judge(models[0])
        means = {quantity: errors.summary(quantity)["mean"] for quantity in errors.errors}
        found["recipes"][name] = {"seconds": seconds, "mean_errors": means}
        print(name, json.dumps(found["recipes"][name]), flush=True)
    paper = found["recipes"]["paper"]
    for name in ("lean", "best"):
        result = found["recipes"][name]
        pairs = {q: (result["mean_errors"][q], paper["mean_errors"][q]) for q in paper["mean_errors"]}
        result["is_worse_than_the_papers_in"] = [q for q, (error, papers) in pairs.items() if error > papers]
        result["ratio_of_cpu_time"] = paper["seconds"]["cpu"] / result["seconds"]["cpu"]
    return found


def full_size(an_epoch: dict) -> dict:
    """500 strains, four images each, labels of a closed formula."""
    engine = ToyEngine(magnesium(), field_cutoff=24.0)
    states = list(map(engine.solve, sample_deformations(engine.crystal, SAMPLES // 4, seed=2)))
    seconds = {
        name: timed(lambda recipe=recipe: Surrogate.train(engine.crystal, states, recipe))
        for name, recipe in (("best", Recipe(name="best")), ("lean", LEAN))
    }
    field, small = (an_epoch[name]["ours"]["cpu_ms"] / 1e3 for name in NETWORKS)
    paper = 4000 * (4 * field + 2 * small)
    columns = len(states[0].fields.vector("density")) if states[0].fields is not None else 0
    return {
        "columns": columns,
        "seconds": seconds,
        "paper_cpu_seconds": paper,
        "ratios": {name: paper / found["cpu"] for name, found in seconds.items()},
    }


def main() -> None:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    an_epoch = {name: epochs(*shape, arguments.epochs, arguments.turns) for name, shape in NETWORKS.items()}
    torch = importlib.util.find_spec("torch") is not None
    report: dict = {"an_epoch": an_epoch, "pytorch": "measured" if torch else "not installed"}
    print(json.dumps(report, indent=1), flush=True)
    report["full_size"] = full_size(an_epoch)
    print(json.dumps(report["full_size"], indent=1), flush=True)
    if arguments.run is not None:
        report["labels"] = with_labels(arguments.run, arguments.reference)
        print(json.dumps(report["labels"], indent=1), flush=True)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
