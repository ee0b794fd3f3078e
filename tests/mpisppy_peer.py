"""mpi-sppy's own extensive form of a case on a tree, from the Pyomo path model: an independent peer."""

import io
from contextlib import redirect_stdout


def scenario_creator(name, case, tree):
    import pyomo.environ as pyo
    from mpisppy.scenario_tree import ScenarioNode

    from stochisru.deployment.path_model import path_model, widen_plant_bounds

    leaf = int(name.removeprefix("leaf"))
    nodes = tree.node_paths()[leaf]
    model = path_model(case, tree.value[nodes])
    widen_plant_bounds(model, case, float(tree.value.max()))
    lead, T = case.horizon.lead_time, case.horizon.T
    names = ["ROOT"]
    for t in range(1, T):
        child = int(nodes[t] - tree.first_child[nodes[t - 1]])
        names.append(f"{names[-1]}_{child}")
    model._mpisppy_node_list = []
    for s in range(T):
        years = range(min(lead, T) + 1) if s == 0 else range(s + lead, min(s + lead, T) + 1)
        model._mpisppy_node_list.append(
            ScenarioNode(
                name=names[s],
                cond_prob=float(tree.probability[nodes[s]] / tree.probability[nodes[s - 1]]) if s else 1.0,
                stage=s + 1,
                cost_expression=pyo.Expression(expr=0.0),
                nonant_list=[model.dM[t] for t in years],
                scen_model=model,
                parent_name=names[s - 1] if s else None,
            )
        )
    model._mpisppy_probability = float(tree.probability[nodes[-1]])
    return model


def all_node_names(tree):
    names = {0: "ROOT"}
    for node in range(1, tree.n_nodes):
        parent = int(tree.parent[node])
        names[node] = f"{names[parent]}_{node - int(tree.first_child[parent])}"
    return list(names.values())


def mpisppy_extensive_form(case, tree):
    """Objective and root deployments."""
    from mpisppy.opt.ef import ExtensiveForm

    with redirect_stdout(io.StringIO()):
        ef = ExtensiveForm(
            {"solver": "highs"},
            [f"leaf{i}" for i in range(tree.n_leaves)],
            scenario_creator,
            scenario_creator_kwargs={"case": case, "tree": tree},
            all_nodenames=all_node_names(tree),
            suppress_warnings=True,
        )
        ef.solve_extensive_form()
    plan = next(iter(ef.local_scenarios.values())).dM
    years = range(min(case.horizon.lead_time, case.horizon.T) + 1)
    return float(ef.get_objective_value()), [plan[t].value for t in years]
