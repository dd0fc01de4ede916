"""One file for each energy term: its energy, and where they exist its potential, forces and stress.

    F = T + E_H + E_xc + E_loc + E_nl + E_Ewald + E_core − TS        (paper, eq. 19 and 21)

Everything is per primitive cell. ``stress`` functions return the strain derivative ∂E/∂η (3, 3), Hartree, with
|k+G| → |k+G| − η(k+G) at frozen index sets; the engine divides by the volume.
"""
