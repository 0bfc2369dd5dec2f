"""``python -m entropic.cli``."""

from entropic.cli import main

main()
