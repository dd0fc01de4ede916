"""``python -m cellfields`` is the command ``cellfields``."""

from cellfields.cli import main

if __name__ == "__main__":
    main()
