"""What is a perfect forecast worth, and what is reacting worth without one?"""

from stochisru import load_case, process_values

values = process_values(load_case("lunar-reference"))
questions = {"evpi": "a perfect forecast", "vms": "reacting to demand", "vss": "planning for more than the mean"}
for name, question in questions.items():
    value = values.values[name]
    low, high = value.lower / 1e6, value.upper / 1e6
    print(f"{question}: {value.value / 1e6:.2f} million $ [{low:.2f}, {high:.2f}], {value.kind}, of the process")
