"""What all DFT engines share: settings, pseudopotentials, occupations, and the physics that none of them has."""
