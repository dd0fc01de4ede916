"""The study file that ``cellfields init`` writes."""

TEMPLATE = """\
# hcp magnesium in the four-atom ortho-hexagonal cell: strain in, electronic fields out.
#
#   cellfields run magnesium.toml
#
# Hartree atomic units: lengths in Bohr, energies in Hartree; angles in degrees. Paths are relative to this file.
# A key that is not known is refused, so a typing error cannot go unnoticed.

[crystal]
lengths = [5.89, 10.201779256580686, 9.56]      # or lengths_angstrom, lattice, lattice_angstrom, structure = "file.cif"
angles = [90, 90, 90]                           # between (b, c), (a, c), (a, b)
species = ["Mg", "Mg", "Mg", "Mg"]
positions = [                                   # fractional; free coordinates and symmetry are found
  [0, 0, 0],
  [0.5, 0.5, 0],
  [0, 0.6666666666666667, 0.5],
  [0.5, 0.16666666666666667, 0.5],
]

[engine]                                        # how each strained cell is solved
cutoff = 10                                     # plane waves up to this kinetic energy, Hartree
kmesh = [6, 4, 4]                               # on the cell above; dense enough to be serious is [12, 12, 12]
smearing = "cold"                               # or "fermi-dirac", "gaussian", "none" (insulators)
smearing_width = 0.01                           # Hartree
# functional = "pbe"                            # without it: "lda"
# [engine.pseudopotentials]                     # without it: the built-in table, H to Rn

[sampling]                                      # λ ~ 1 ± stretch_sigma, θ ~ θ⁰ ± angle_sigma, cut at `cut` sigma
train = 48                                      # strains to learn from (drawn with seed)
test = 16                                       # strains to be judged by (drawn with seed + 1)
seed = 1
stretch_sigma = 0.02                            # the paper: 0.05
angle_sigma = 1.2                               # degrees; the paper: 3
cut = 2.0

[surrogate]
name = "taylor"                                 # networks on a quadratic trend; "paper": networks alone;
                                                # "best": polynomials, for so few strains with degree = 4, blend = 1
epochs = 1000

[output]
directory = "run"                               # dataset/, model.safetensors, evaluation.json, report.html
workers = 2                                     # solves at a time
"""
