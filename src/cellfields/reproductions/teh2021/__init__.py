"""The paper's whole evaluation, and what goes beyond it: one study a file, each from a workbench to plain JSON data.

May import everything that ``evaluation`` may, and the engines that ``protocol`` names. Drawing and layout belong to
``page``; options and progress bars to the command line. What a study computes is kept and reused (``workbench``).
"""
