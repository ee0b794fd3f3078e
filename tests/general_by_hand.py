"""The deployment problem with tables as a program of its own, written from the meaning of the keys alone.

Nothing of the package but the tree enters: a dictionary with the keys of a case file, dense rows, scipy's HiGHS.
"""

import math

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp


def _at(value, t, default=None):
    if value is None:
        return default
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, list):
        return float(value[t])
    if "start" in value:
        return value["start"] * (1 + value["growth"]) ** t
    return float(np.interp(t, value["years"], value["values"]))


class _Program:
    def __init__(self):
        self.cost, self.lower, self.upper, self.whole = [], [], [], []
        self.rows, self.low, self.high = [], [], []
        self.constant = 0.0

    def column(self, cost=0.0, upper=1e7, lower=0.0, whole=False):
        self.cost.append(cost)
        self.lower.append(lower)
        self.upper.append(upper)
        self.whole.append(int(whole))
        return len(self.cost) - 1

    def row(self, terms, low, high):
        self.rows.append(terms)
        self.low.append(low)
        self.high.append(high)

    def optimum(self):
        matrix = np.zeros((len(self.rows), len(self.cost)))
        for r, terms in enumerate(self.rows):
            for column, number in terms:
                matrix[r, column] += number
        found = milp(
            -np.array(self.cost),
            constraints=LinearConstraint(matrix, self.low, self.high),
            bounds=Bounds(self.lower, self.upper),
            integrality=np.array(self.whole),
            options={"mip_rel_gap": 1e-9},
        )
        assert found.status == 0, found.message
        return self.constant - found.fun


def optimum_by_hand(data, tree, information="rp", factor=lambda name, node: None):
    """Optimum of a case under RP, static, fixed or wait-and-see information, in $.

    Parameters
    ----------
    data
        The case as nested tables.
    information
        ``rp``, ``static``, ``fixed`` or ``ws``.
    factor
        Value of a symbol that is a factor, by name and node, or None.
    """
    p, T = _Program(), data["horizon"]["T"]
    h, costs, base = data["horizon"], data["costs"], data.get("technology", {})
    launch, support = data.get("launch", {}), data.get("support", {})
    terminal, store, payment = data.get("terminal", {}), data.get("storage"), data.get("payment", {})
    discount = [(1 + data["economics"]["r"]) ** -t for t in range(T + 1)]
    stage, parent, probability = tree.stage, tree.parent, tree.probability

    def up(node, s):
        while stage[node] > s:
            node = parent[node]
        return int(node)

    kinds = data.get("technologies") or [{"name": "plant", "own": True, **base}]
    single = not data.get("technologies")
    if information == "ws":
        total = 0.0
        for leaf in range(tree.n_nodes - tree.n_leaves, tree.n_nodes):
            branch, _ = tree.branch(leaf)
            total += probability[leaf] * optimum_by_hand(data, branch, "rp" if branch.n_leaves == 1 else "ws", factor)
        return total

    def symbol(kind, name, t, node, default=0.0):
        random = factor(name, node)
        if random is not None:
            return random
        value = kind.get(name, costs.get(name) if name.startswith("c_") else base.get(name))
        return _at(value, t, default)

    nodes = {t: [n for n in range(tree.n_nodes) if stage[n] == t] for t in range(T + 1)}
    ours = [1 - _at(support.get("equity"), t, 0.0) for t in range(T + 1)]
    years = [1.0 + (terminal.get("margin_years", 0.0) if t == T else 0.0) for t in range(T + 1)]
    orders, plant = [], []
    campaigns = {}
    for k, kind in enumerate(kinds):
        lead = kind.get("lead_time", h.get("lead_time", 1))
        lot = kind.get("lot", launch.get("lot"))
        made = {}

        def decided(t, lead=lead):
            return max(t - lead, 0) if information == "rp" else 0

        when = kind.get("payment", payment)
        if when.get("when", "arrival") == "arrival":
            shares = [0.0] * lead + [1.0]
        elif when["when"] == "order":
            shares = [1.0] + [0.0] * lead
        else:
            shares = when["shares"] if isinstance(when["shares"], list) else when["shares"][kind["name"]]
        for t in range(T + 1):
            at = max(t - lead, 0) if when.get("price") == "order" else t
            bill = [
                (1 - _at(support.get("launch_share"), at, 0.0))
                * symbol(kind, "c_L", at, n)
                * symbol(kind, "alpha", at, n)
                + (1 - _at(support.get("dev_share"), at, 0.0)) * symbol(kind, "c_dev", at, n)
                for n in nodes[t]
            ]
            paid = sum(share * discount[max(t - lead + j, 0)] for j, share in enumerate(shares))
            closed = (information == "fixed" and t > 0) or (h.get("initial_deployment") == "fixed" and t == 0)
            for n in nodes[decided(t)]:
                below = [i for i, m in enumerate(nodes[t]) if up(m, decided(t)) == n]
                cost = sum(probability[nodes[t][i]] * bill[i] for i in below) * ours[t] * paid
                limit = _at(kind.get("build_limit", base.get("build_limit")), t, 1e6)
                made[t, n] = p.column(-cost, 0.0 if closed else limit)
                if lot is not None:
                    count = p.column(whole=True, upper=1e4)
                    p.row([(made[t, n], 1.0), (count, -lot)], 0.0, 0.0)
                share = sum(probability[nodes[t][i]] for i in below)
                own = kind.get("fixed_cost", 0.0)
                if own:
                    flies = p.column(-own * share * paid * ours[t], 1.0, whole=True)
                    p.row([(made[t, n], 1.0), (flies, -1e5)], -np.inf, 0.0)
                campaigns.setdefault((t,), []).append((k, n, decided(t), made[t, n], share, paid))
        orders.append((made, decided))
        there = {}
        for t in range(T + 1):
            for n in nodes[t]:
                hold = symbol(kind, "c_op", t, n) * ours[t] * years[t]
                if t == T and "salvage" in terminal and "lifetime" not in {**base, **kind}:
                    hold -= terminal["salvage"] * (
                        symbol(kind, "c_L", t, n) * symbol(kind, "alpha", t, n) + symbol(kind, "c_dev", t, n)
                    )
                there[n] = p.column(-probability[n] * discount[t] * hold)
                life = kind.get("lifetime", base.get("lifetime", 10**6))
                terms, start = [(there[n], 1.0)], 0.0
                for s in range(t + 1):
                    if t - s >= life:
                        continue
                    left = math.prod(1 - symbol(kind, "degradation", u, n) for u in range(s + 1, t + 1))
                    terms.append((made[s, up(n, decided(s))], -left))
                    if s == 0:
                        start = left * (base.get("M0", 0.0) if single else kind.get("M0", 0.0))
                p.row(terms, start, start)
                if t == T and "salvage" in terminal and life < 10**6:
                    new = symbol(kind, "c_L", t, n) * symbol(kind, "alpha", t, n) + symbol(kind, "c_dev", t, n)
                    unit = probability[n] * discount[T] * terminal["salvage"] * new
                    for column, left in terms[1:]:
                        s = next(s for s in range(T + 1) if made[s, up(n, decided(s))] == column)
                        p.cost[column] += unit * -left * (1 - (T - s + 1) / life)
                    p.constant += unit * start * (1 - (T + 1) / life)
        plant.append(there)
    if launch.get("fixed_cost"):
        # Once in each year in which any plant arrives: known where the last of its orders is known.
        for t in range(T + 1):
            entries = campaigns[t,]
            last = max(d for _, _, d, _, _, _ in entries)
            for n in nodes[last]:
                mine = [e for e in entries if up(n, e[2]) == e[1]]
                paid = min(mine, key=lambda e: -e[2])[5]
                cost = max(launch["fixed_cost"] - _at(support.get("grant"), t, 0.0), 0.0)
                flies = p.column(-cost * probability[n] * paid * ours[t], 1.0, whole=True)
                p.row([*((e[3], 1.0) for e in mine), (flies, -1e5)], -np.inf, 0.0)
    if launch.get("mass_limit") is not None:
        for t in range(T + 1):
            for n in nodes[t]:
                terms = [
                    (made[t, up(n, decided(t))], symbol(kind, "alpha", t, n))
                    for kind, (made, decided) in zip(kinds, orders, strict=True)
                ]
                p.row(terms, -np.inf, _at(launch["mass_limit"], t))
    tiers = data.get("customers") or [{"share": 1.0, "price": data["economics"]["P_m"]}]
    stored = {}
    for t in range(T + 1):
        for n in nodes[t]:
            w = probability[n] * discount[t] * years[t]
            demand, wanted, left = tree.value[n], [], tree.value[n]
            for tier in tiers:
                inside = tier.get("first", 0) <= t <= tier.get("last", T)
                if "share" in tier:
                    size = _at(tier["share"], t) * demand * inside
                elif tier.get("firm"):
                    size = _at(tier["quantity"], t) * inside
                else:
                    size = max(min(_at(tier["quantity"], t), left), 0.0) * inside
                left -= 0.0 if tier.get("firm") else size
                wanted.append(size)
            made_here, capacity = [], []
            c_S = _at(costs.get("c_S"), t, 0.0)
            for kind, there in zip(kinds, plant, strict=True):
                by = symbol(kind, "c_by", t, n) * symbol(kind, "beta", t, n) * ours[t]
                able = symbol(kind, "availability", t, n, 1.0) * symbol(kind, "eta", t, n)
                capacity.append((there[n], able))
                if store is None:
                    made_here.append(p.column(w * (c_S - by)))
                    p.cost[there[n]] -= w * c_S * able
                    p.row([(made_here[-1], 1.0), (there[n], -able)], -np.inf, 0.0)
                else:
                    delivered_cost = by
            if store is not None:
                made_here = [p.column(-w * delivered_cost)]
                excess = p.column(-w * c_S)
                stored[n] = p.column(
                    -probability[n] * discount[t] * store.get("holding_cost", 0.0), store.get("capacity", 1e6)
                )
                terms = [(stored[n], 1.0), (made_here[0], 1.0), (excess, 1.0), *((c, -a) for c, a in capacity)]
                start = store.get("initial", 0.0) if t == 0 else 0.0
                if t:
                    terms.append((stored[int(parent[n])], -(1 - store.get("boil_off", 0.0))))
                p.row(terms, start, start)
            sold, earths, idle = [], [], []
            for tier, size in zip(tiers, wanted, strict=True):
                price = factor("P_m", n)
                if tier.get("price") is not None or price is None:
                    price = _at(tier.get("price", data["economics"].get("P_m")), t)
                own = tier.get("c_bu", 0.0 if tier.get("firm") else None)
                penalty = symbol({}, "c_bu", t, n) if own is None else _at(own, t)
                gain = price * ours[t] + _at(support.get("premium"), t, 0.0)
                sold.append(p.column(w * gain))
                short = p.column(-w * penalty)
                terms = [(sold[-1], 1.0), (short, 1.0)]
                worth = (price if data["economics"].get("earth_sold") else 0.0) - symbol({}, "c_E", t, n)
                if tier.get("earth", True):
                    earths.append(p.column(w * worth))
                    terms.append((earths[-1], 1.0))
                idle.append((worth + penalty if tier.get("earth", True) else -1.0, size, penalty))
                p.row(terms, size, size)
            limit = _at(costs.get("earth_limit"), t)
            if limit is not None and earths:
                p.row([(e, 1.0) for e in earths], -np.inf, limit)
            if "purchase" in support:
                bought = p.column(w * _at(support["purchase"]["price"], t), _at(support["purchase"]["quantity"], t))
                sold.append(bought)
            p.row([*((c, 1.0) for c in made_here), *((c, -1.0) for c in sold)], 0.0, 0.0)
            if t == T and "margin_years" in terminal:
                room, nothing = math.inf if limit is None else limit, 0.0
                for gain, size, penalty in sorted(idle, key=lambda e: -e[0]):
                    flown = min(size, room) if gain > 0 else 0.0
                    room -= flown
                    nothing += gain * flown - penalty * size
                p.constant -= probability[n] * discount[t] * terminal["margin_years"] * nothing
    return p.optimum()
