"""My demand so far: what do I order this year, and which demand would change it?"""

from stochisru import decide, load_case

advice = decide(load_case("lunar-reference"), "docs/demand-history.csv", plant=300.0)
print(advice.sentence)
print(advice.rule)
print(*advice.turning_lines[:1])
