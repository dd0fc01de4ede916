"""Everything that maps a deformation to a state from first principles, each engine in a folder of its own."""
