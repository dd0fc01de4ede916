"""The evaluation of Teh, Ghosh and Bhattacharya (2021), and studies that go beyond it, one in each file.

Each study takes a workbench, which keeps and reuses what is computed, and returns a dataclass of plain data. ``page``
and ``tables`` draw figures and tables; options and progress bars belong to the command line.
"""
