"""`python -m hornbook`, the same as the command `hornbook`."""

from hornbook.cli import main

if __name__ == "__main__":
    main()
