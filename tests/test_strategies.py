"""What a strategy sees of the past, against every year of every path."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from stochisru import InputError, policy_named, simulate_panel, simulate_policies
from stochisru.lunar.strategies.on_model import OnModel


@dataclass(frozen=True, eq=False)
class Witness:
    """Orders a tenth of today's demand and writes down what it saw."""

    saw: list = field(default_factory=list)
    name: str = "witness"

    def start(self, case):
        plan = np.zeros(min(case.horizon.lead_time, case.horizon.T) + 1)
        plan[-1] = 30.0 if case.horizon.initial_deployment == "free" or plan.size > 1 else 0.0
        return plan

    def order(self, observation):
        self.saw.append(observation)
        return 0.1 * observation.demand[-1]

    def describe(self, case):
        return "Watches."


@pytest.mark.parametrize("lead", [0, 1, 3])
def test_observation_holds_the_history_of_plant_orders_and_operations(reference, lead):
    case = reference.replace(T=6, lead_time=lead, degradation=0.1, M0=20.0, earth_limit=50.0, c_bu=30e3)
    witness = Witness()
    panel = simulate_panel(case, [witness], paths=20, seed=3).isel(strategy=0)
    truth = {k: v.to_numpy().T for k, v in panel.data_vars.items()}
    assert [o.year for o in witness.saw] == list(range(1, 6 - lead + 1))
    for seen in witness.saw:
        t = seen.year
        before = slice(0, t)  # with L = 0 today's plant lacks the order that is being decided
        assert seen.plants[before] == pytest.approx(truth["plant"][before])
        assert seen.deployments == pytest.approx(truth["deployment"][: max(t + lead, 1)])
        assert seen.delivered[before] == pytest.approx(truth["delivered"][before])
        assert seen.capacity[before] == pytest.approx(truth["capacity"][before])
        last = slice(max(t - 1, 0), t + 1)
        if lead:
            assert seen.plant == pytest.approx(truth["plant"][t])
            ratio = truth["delivered"][last].sum(axis=0) / truth["capacity"][last].sum(axis=0)
            assert seen.utilization(years=2) == pytest.approx(ratio)
        assert seen.pipeline.shape == (max(lead - 1, 0), 20)
        assert seen.position == pytest.approx(seen.plant + truth["deployment"][t + 1 : t + lead].sum(axis=0))
        with pytest.raises(ValueError, match="read-only"):
            seen.plants[0] = 0.0
    with pytest.raises(InputError, match="years"):
        witness.saw[0].utilization(years=0)


@pytest.mark.parametrize("lead", [0, 1, 2])
def test_on_a_model_a_strategy_sees_the_same(reference, lead):
    case = reference.replace(T=4, lead_time=lead, degradation=0.1, initial_deployment="fixed", M0=20.0)
    of_case, of_model = Witness(), Witness()
    simulate_panel(case, [of_case], paths=30, seed=5)
    simulate_policies(
        case.model, [OnModel(of_model, case), OnModel(policy_named("moderate", case), case)], paths=30, seed=5
    )
    assert len(of_case.saw) == len(of_model.saw)
    for mine, other in zip(of_case.saw, of_model.saw, strict=True):
        for name in ("demand", "plants", "deployments", "pipeline", "delivered"):
            assert getattr(mine, name) == pytest.approx(getattr(other, name)), name
