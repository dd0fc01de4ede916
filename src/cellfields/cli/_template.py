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
smearing = "fermi-dirac"                        # or "cold", "gaussian", "none" (insulators); on a coarse mesh cold
smearing_width = 0.01                           # smearing (the paper's) makes F jump with strain; width in Hartree
# functional = "pbe"                            # without it: "lda"
# [engine.pseudopotentials]                     # without it: the built-in table, H to Rn

[sampling]                                      # λ ~ 1 ± stretch_sigma, θ ~ θ⁰ ± angle_sigma, cut at `cut` sigma
train = 40                                      # strains to learn from (drawn with seed)
test = 12                                       # strains to be judged by (drawn with seed + 1)
seed = 1
stretch_sigma = 0.05                            # as in the paper
angle_sigma = 3.0                               # degrees, as in the paper
cut = 2.0

[surrogate]
name = "best"                                   # polynomials that learn from symmetry images and stress too;
                                                # "taylor": networks on a quadratic trend; "paper": networks alone
degree = 4                                      # of the polynomials; 7 for hundreds of strains
blend = 1                                       # how many degrees are averaged; 2 for hundreds of strains

[output]
directory = "run"                               # dataset/, model.safetensors, evaluation.json, report.html
workers = 2                                     # solves at a time
"""
