"""A bar under tension whose material is a surrogate of density functional theory.

    python bar.py                                                # trains on a coarse study of aluminium first
    python bar.py --model mg.safetensors --axis 3 --stretch 0.03 # any trained model; the bar's axis along its x₃

What it shows: at every integration point the surrogate gives the first Piola–Kirchhoff stress and its derivative, so
that Newton's method converges quadratically; and since the surrogate knows the crystal behind the stress, the electron
density at any material point is one call away. Needs `pip install '.[fem]'`. Lengths in mm, stress in GPa.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from skfem import Basis, BilinearForm, ElementHex1, ElementVector, LinearForm, MeshHex, condense, solve
from skfem.helpers import grad

from cellfields import Deformation, Surrogate
from cellfields.dataset import label
from cellfields.evaluation.figures import snapshot_figure
from cellfields.mechanics import ConstitutiveLaw, stress_free
from cellfields.pipeline.study import Study

HERE = Path(__file__).parent
LENGTH, WIDTH, WAIST = 10.0, 2.0, 0.7  # mm; the waist is narrower by this factor
TOLERANCE = 1e-9  # of the residual force, relative to the reaction
MOST_ITERATIONS = 12


@dataclass(frozen=True)
class Material:
    """The stress-free crystal, turned into the bar: F → P(F), dP/dF in the bar's frame, GPa.

    Attributes:
        law: the surrogate's law, relative to the surrogate's reference crystal.
        natural: (3, 3) from that reference to the stress-free crystal, which is what the undeformed bar consists of.
        turn: (3, 3) rotation; columns are the crystal's axes in the bar.
    """

    law: ConstitutiveLaw
    natural: np.ndarray
    turn: np.ndarray

    @classmethod
    def of(cls, surrogate: Surrogate, axis: int) -> Material:
        natural = stress_free(surrogate).deformation.deformation_gradient(surrogate.crystal)
        turn = np.roll(np.eye(3), -(axis - 1), axis=0)  # the crystal's x_axis comes to lie along the bar
        return cls(ConstitutiveLaw.from_surrogate(surrogate, units="gpa"), natural, turn)

    def in_crystal(self, gradient: np.ndarray) -> np.ndarray:
        """What the surrogate's reference crystal undergoes: Rᵀ F R F⁰."""
        return self.turn.T @ gradient @ self.turn @ self.natural

    def __call__(self, gradient: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """F (…, 3, 3) → P (…, 3, 3), A (…, 3, 3, 3, 3); w per volume of the stress-free crystal."""
        first, tangent = self.law.evaluate(self.in_crystal(gradient))
        back, push = self.turn, self.turn @ self.natural  # of the indices of the deformed and the undeformed frame
        first = np.einsum("ia,jb,...ab->...ij", back, push, first)
        tangent = np.einsum("ia,jb,kc,ld,...abcd->...ijkl", back, push, back, push, tangent, optimize=True)
        volume = np.linalg.det(self.natural)
        return first / volume, tangent / volume


def waisted_bar(cells: tuple[int, int, int]) -> MeshHex:
    """A bar along x, narrower in the middle."""
    nx, ny, nz = cells
    half = WIDTH / 2
    mesh = MeshHex.init_tensor(
        np.linspace(0, LENGTH, nx + 1), np.linspace(-half, half, ny + 1), np.linspace(-half, half, nz + 1)
    )
    points = mesh.p.copy()
    points[1:] *= 1 - (1 - WAIST) * np.exp(-(((points[0] - LENGTH / 2) / (0.15 * LENGTH)) ** 2))
    return MeshHex(points, mesh.t)


class Bar:
    """Finite elements: trilinear hexahedra, both ends held, one of them pulled."""

    def __init__(self, material: Material, cells: tuple[int, int, int]) -> None:
        self.material = material
        self.basis = Basis(waisted_bar(cells), ElementVector(ElementHex1()), intorder=2)
        self.ends = [self.basis.get_dofs(lambda x, place=place: np.isclose(x[0], place)) for place in (0.0, LENGTH)]
        self.pulled = self.ends[1].all("u^1")
        self.held = np.union1d(self.ends[0].all(), self.ends[1].all())
        self.displacement = self.basis.zeros()

    def gradients(self) -> np.ndarray:
        """F (elements, points, 3, 3) at all integration points."""
        slope = np.asarray(self.basis.interpolate(self.displacement).grad)
        return np.eye(3) + np.moveaxis(slope, (2, 3), (0, 1))

    def stretch_to(self, elongation: float) -> list[float]:
        """Newton's method to a prescribed elongation (mm); returns and prints the relative residuals."""
        ends = self.basis.zeros()
        ends[self.pulled] = elongation - self.displacement[self.pulled]
        force, stiffness = self._assemble()
        history: list[float] = []
        for iteration in range(1, MOST_ITERATIONS + 1):
            # The first step moves the ends and, by the tangent, the inside along with them.
            self.displacement = self.displacement + solve(*condense(stiffness, -force, x=ends, D=self.held))
            ends = self.basis.zeros()
            force, stiffness = self._assemble()
            free = np.delete(force, self.held)
            history.append(float(np.linalg.norm(free) / np.linalg.norm(force[self.held])))
            print(f"  iteration {iteration}: residual {history[-1]:.2e}", flush=True)
            if history[-1] < TOLERANCE:
                return history
        raise SystemExit("Newton's method did not converge; take smaller steps (--steps)")

    def reaction(self) -> float:
        """Force on the pulled end, kN."""
        return float(self._assemble()[0][self.pulled].sum())

    def _assemble(self) -> tuple[np.ndarray, object]:
        stress, tangent = self.material(self.gradients())
        if not np.isfinite(stress).all():
            raise SystemExit("a material point left the strains that the model knows; take smaller steps (--steps)")
        stress, tangent = np.moveaxis(stress, (0, 1), (2, 3)), np.moveaxis(tangent, (0, 1), (4, 5))

        @LinearForm
        def internal_force(v, w):
            return np.einsum("ij...,ij...->...", stress, grad(v))

        @BilinearForm
        def stiffness(u, v, w):
            return np.einsum("ijkl...,kl...,ij...->...", tangent, grad(u), grad(v), optimize=True)

        return internal_force.assemble(self.basis), stiffness.assemble(self.basis)


def quick_model() -> Surrogate:
    """Solve the strains of aluminium.toml that are not solved yet, and train on them."""
    study = Study.load(HERE / "aluminium.toml")
    store = study.create_store()
    label(
        store,
        study.engine,
        study.train,
        on_event=lambda event: print(f"solved {event.done} of {event.total} strains", flush=True),
    )
    recipe = study.configuration.surrogate
    return Surrogate.train(study.crystal, study.training_states(store), recipe, identity=study.identity)


def main(arguments: list[str] | None = None) -> Bar:
    """Stretch the bar, then look into the material where it is strained most."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="trained model; default: a quick one of aluminium")
    parser.add_argument("--axis", type=int, choices=(1, 2, 3), default=1, help="crystal axis along the bar")
    parser.add_argument("--stretch", type=float, default=0.02, help="elongation of the bar over its length")
    parser.add_argument("--steps", type=int, default=2, help="load steps")
    parser.add_argument("--cells", type=int, nargs=3, default=(20, 4, 4), metavar="N", help="elements along x, y, z")
    parser.add_argument("--picture", type=Path, help="draw the electron density at the material point")
    chosen = parser.parse_args(arguments)
    surrogate = quick_model() if chosen.model is None else Surrogate.load(chosen.model)
    bar = Bar(Material.of(surrogate, chosen.axis), tuple(chosen.cells))
    print(f"{bar.basis.nelems} elements, {bar.gradients().shape[1]} points each, {bar.basis.N} unknowns")
    for step in range(1, chosen.steps + 1):
        stretch = chosen.stretch * step / chosen.steps
        print(f"stretched by {100 * stretch:.2f} %")
        bar.stretch_to(stretch * LENGTH)
        print(f"  force {bar.reaction():.4f} kN")

    gradients = bar.gradients().reshape(-1, 3, 3)
    point = gradients[gradients[:, 0, 0].argmax()]
    deformation = Deformation.from_deformation_gradient(bar.material.in_crystal(point), surrogate.crystal)
    state = surrogate.solve(deformation)
    values = ", ".join(f"{x:.5g}" for x in deformation.as_array())
    print(f"largest stretch {point[0, 0]:.4f}; the crystal there has D = ({values}), F = {state.free_energy:.6f} Ha")
    if state.knows("density"):
        density = state.fields.on_grid("density", (24, 24, 24))
        print(f"its electron density goes from {density.min():.4f} to {density.max():.4f} electrons/Bohr³")
        if chosen.picture is not None:
            relaxed = surrogate.solve(Deformation.from_deformation_gradient(bar.material.natural, surrogate.crystal))
            shown = {"stress-free": relaxed, "in the waist": state}
            snapshot_figure(shown, guides=[(), ()]).savefig(chosen.picture, dpi=144)
    return bar


if __name__ == "__main__":
    main()
