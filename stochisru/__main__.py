"""``python -m stochisru``."""

from stochisru.cli import main

main()
