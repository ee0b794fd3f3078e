"""``python -m stochisru``."""

from stochisru.cli.start import main

main()
