"""The frozen table: what every method answers on 300 small cases, kept so that no rebuilding changes a number.

``table.jsonl`` holds the cases themselves and every answer: objective, bounds, first orders, termination; of what is
refused, the class of the error and, on the command line, the exit code. `tests.test_frozen` compares. After a change
that is meant, ``python -m tests.frozen.make`` writes the table again; the difference of the file is then the change to
be explained. Everything is reached by public names, so that modules may move.
"""
