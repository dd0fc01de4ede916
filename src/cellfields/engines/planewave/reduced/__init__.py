"""The reduced Bloch basis: a few dozen functions in which H(k) is small for every k, with exact k dependence.

After Shirley, Phys. Rev. B 54, 16464 (1996); Prendergast and Louie, Phys. Rev. B 80, 235126 (2009).
"""
