"""``python -m stochisru``."""

from stochisru.cli.main import main

main()
