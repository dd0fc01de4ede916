"""How many small faults in the numerical code do the tests notice?

    score = killed mutants / mutants that some test runs into

A mutant is the package with one expression changed: a sign, a factor, an index, a dropped term, a negated condition, a
dropped transpose or conjugate. It is killed when one of the tests that run its line fails. Mutants are drawn with a
fixed seed from all that are possible on lines that tests run.

    python -m pytest --cov=cellfields --cov-context=test --cov-report= --junitxml=junit.xml     (needs pytest-cov)
    python benchmarks/mutation_testing.py --coverage .coverage --durations junit.xml --count 400 --output mutants.json
    python benchmarks/mutation_testing.py … --only survived.json       (again those that an earlier run left alive)

Results: benchmarks/results/mutation_testing.json, described in docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import ast
import copy
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "cellfields"
TARGETS = (
    "engines/planewave",
    "dft",
    "surrogate",
    "mechanics",
    "state/fields.py",
    "state/axis_operations.py",
)


@dataclass(frozen=True)
class Mutant:
    """One changed expression: file relative to the package, line, place among the candidates of its file, and words."""

    file: str
    line: int
    index: int
    change: str


# -- making mutants --------------------------------------------------------------------------------------------------

_SWAPS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
}
_NAMES = {"sin": "cos", "cos": "sin", "min": "max", "max": "min", "argmin": "argmax", "argmax": "argmin", "exp": "cos"}


def candidates(tree: ast.Module) -> list[tuple[int, str, Callable[[], None]]]:
    """(line, words, a function that makes the change in the tree) for every possible mutant, in order of the source."""
    found: list[tuple[int, str, Callable[[], None]]] = []
    for parent, name, place, node in _expressions(tree):

        def put(new: ast.AST, parent: ast.AST = parent, name: str = name, place: int | None = place) -> None:
            if place is None:
                setattr(parent, name, new)
            else:
                getattr(parent, name)[place] = new

        def add(words: str, new: ast.AST, node: ast.AST = node, put: Callable[[ast.AST], None] = put) -> None:
            ast.copy_location(new, node)
            found.append((node.lineno, words, lambda: put(ast.fix_missing_locations(new))))  # type: ignore[attr-defined]

        text = ast.unparse(node)[:60]
        if isinstance(node, ast.BinOp) and type(node.op) in _SWAPS:
            other = copy.copy(node)
            other.op = _SWAPS[type(node.op)]()
            add(f"{text}: {type(node.op).__name__} → {type(other.op).__name__}", other)
            if isinstance(node.op, ast.Add | ast.Sub):
                add(f"{text}: the second term dropped", node.left)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            if not isinstance(node.operand, ast.Constant):
                add(f"{text}: the minus dropped", node.operand)
        elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
            value = node.value + 1 if type(node.value) is int else 2.0 * node.value or 1.0
            add(f"{text} → {value}", ast.Constant(value))
        elif isinstance(node, ast.Compare) and len(node.ops) == 1:
            add(f"not ({text})", ast.UnaryOp(ast.Not(), node))
        elif isinstance(node, ast.Attribute) and node.attr == "T":
            add(f"{text}: the transpose dropped", node.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr == "conj" and not node.args:
                add(f"{text}: the conjugate dropped", node.func.value)
            elif node.func.attr in _NAMES:
                other = copy.deepcopy(node)
                other.func.attr = _NAMES[node.func.attr]  # type: ignore[attr-defined]
                add(f"{text}: {node.func.attr} → {_NAMES[node.func.attr]}", other)
        elif isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add | ast.Sub):
            add(f"{text}: left out", ast.Pass())
    return sorted(found, key=lambda entry: entry[0])


def _expressions(tree: ast.Module) -> Iterator[tuple[ast.AST, str, int | None, ast.AST]]:
    """Every node below a function or a module's assignment, with where it hangs; no messages, annotations, defaults."""

    def visit(node: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.AST]]:
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "type_params"):
                continue
            for place, child in enumerate(value) if isinstance(value, list) else ((None, value),):
                if not isinstance(child, ast.AST) or isinstance(child, ast.Raise | ast.JoinedStr | ast.Import):
                    continue
                if isinstance(child, ast.Call) and ast.unparse(child.func) in ("Field", "warnings.warn", "field"):
                    continue
                if isinstance(node, ast.If) and name == "test" and ast.unparse(child) == "TYPE_CHECKING":
                    continue
                if hasattr(child, "lineno"):
                    yield node, name, place, child
                yield from visit(child)

    yield from visit(tree)


def mutated(source: str, index: int) -> str:
    """The source with the candidate of that number changed."""
    tree = ast.parse(source)
    candidates(tree)[index][2]()
    return ast.unparse(tree)


def draw(count: int, covered: dict[str, dict[int, set[str]]], seed: int) -> list[Mutant]:
    """Mutants on lines that tests run, drawn at random from all of them."""
    every: list[Mutant] = []
    for target in TARGETS:
        path = PACKAGE / target
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            name = str(file.relative_to(PACKAGE))
            for index, (line, words, _) in enumerate(candidates(ast.parse(file.read_text(encoding="utf-8")))):
                if covered.get(name, {}).get(line):
                    every.append(Mutant(name, line, index, words))
    random.Random(seed).shuffle(every)
    return every[:count]


# -- judging them ----------------------------------------------------------------------------------------------------


def lines_and_tests(path: Path) -> dict[str, dict[int, set[str]]]:
    """File → line → names of the tests that run it, from a coverage file made with ``--cov-context=test``."""
    from coverage import CoverageData

    data = CoverageData(str(path))
    data.read()
    found: dict[str, dict[int, set[str]]] = {}
    for file in data.measured_files():
        if "/cellfields/" in file:
            name = file.split("/cellfields/")[-1]
            contexts = data.contexts_by_lineno(file)
            found[name] = {line: {t.split("|")[0] for t in tests if t} for line, tests in contexts.items()}
    return found


def seconds_of_tests(path: Path) -> dict[str, float]:
    """Name of a test that passed (``tests/a/test_b.py::test_c[d]``) → seconds, from a JUnit file."""
    found: dict[str, float] = {}
    for case in ElementTree.parse(path).iter("testcase"):
        if len(case) and case[0].tag in ("failure", "error", "skipped"):
            continue
        module = case.attrib["classname"].replace(".", "/") + ".py"
        found[f"{module}::{case.attrib['name']}"] = float(case.attrib["time"])
    return found


def judge(mutant: Mutant, tests: list[str], limit: float) -> str:
    """``killed``, ``survived`` or ``timeout`` (which counts as killed)."""
    with tempfile.TemporaryDirectory() as folder:
        copied = Path(folder) / "src" / "cellfields"
        shutil.copytree(PACKAGE, copied, ignore=shutil.ignore_patterns("__pycache__"))
        file = copied / mutant.file
        file.write_text(mutated(file.read_text(encoding="utf-8"), mutant.index), encoding="utf-8")
        path = os.pathsep.join([str(copied.parent), str(ROOT)])
        environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-W", "error", *tests]
        try:
            done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=limit)
        except subprocess.TimeoutExpired:
            return "timeout"
    return "survived" if done.returncode == 0 else "killed"


def chosen_tests(
    mutant: Mutant, covered: dict[str, dict[int, set[str]]], seconds: dict[str, float], most: float
) -> list[str]:
    """Tests that run the line, quickest first, as many as fit in ``most`` seconds, at least one."""
    total, kept = 0.0, list[str]()
    for name in sorted(covered[mutant.file][mutant.line] & seconds.keys(), key=seconds.__getitem__):
        total += seconds[name]
        if kept and total > most:
            break
        kept.append(name)
    return kept


def main() -> None:
    """Draw, judge, and write after every mutant."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--coverage", type=Path, default=ROOT / ".coverage")
    parser.add_argument("--durations", type=Path, required=True)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--most-seconds", type=float, default=90, help="of tests for one mutant")
    parser.add_argument("--only", type=Path, help="a result: judge its survivors again, by file, line and change")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    covered, seconds = lines_and_tests(options.coverage), seconds_of_tests(options.durations)
    if options.only is None:
        mutants = draw(options.count, covered, options.seed)
    else:
        wanted = {
            (m["file"], m["change"])
            for m in json.loads(options.only.read_text())["mutants"]
            if m["verdict"] == "survived"
        }
        mutants = [m for m in draw(10**9, covered, options.seed) if (m.file, m.change) in wanted]
    results: list[dict[str, object]] = []

    def one(mutant: Mutant) -> None:
        tests = chosen_tests(mutant, covered, seconds, options.most_seconds)
        if not tests:
            return
        limit = 60 + 5 * sum(seconds[name] for name in tests)
        results.append(asdict(mutant) | {"tests": len(tests), "verdict": judge(mutant, tests, limit)})
        counts = Counter(str(result["verdict"]) for result in results)
        summary = {"mutants": len(results), **counts, "seed": options.seed}
        options.output.write_text(json.dumps({"summary": summary, "mutants": results}, indent=1, ensure_ascii=False))
        print(
            f"{len(results)}/{len(mutants)} {results[-1]['verdict']}: {mutant.file}:{mutant.line} {mutant.change}",
            flush=True,
        )

    with ThreadPoolExecutor(options.workers) as pool:
        list(pool.map(one, mutants))


if __name__ == "__main__":
    main()
