"""File formats of other programs, one a module, each read and written there."""
