"""One energy term a file: its energy, and where they exist its potential, forces and stress.

    F = T + E_H + E_xc + E_loc + E_nl + E_Ewald + E_core − TS        (paper, eq. 19 and 21)

May import the geometry and basis of this engine. Everything is per primitive cell. ``stress`` functions return the
strain derivative ∂E/∂η (3, 3) with |k+G| → |k+G| − η(k+G) at frozen index sets; the engine divides by the volume.
"""
