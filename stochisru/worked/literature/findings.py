"""The findings of the study of the literature: sentences written from its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from stochisru.studies.store import Row

if TYPE_CHECKING:
    from stochisru.worked.literature.study import LiteratureStudy

#: What a published quantity is, in words.
_WORDS = {
    "npv": "NPV",
    "npv_commissioning": "NPV at commissioning",
    "irr": "internal rate of return",
    "break_even": "break-even price",
    "cost": "life-cycle cost",
    "cost_of_nothing": "cost of supply from Earth",
}


def findings(study: LiteratureStudy) -> list[str]:
    """Sentences; every number in them is computed."""
    sigmas = sorted({row["sigma"] for row in study.rows})
    sentences = _reproduced(study.published)
    for sigma in sigmas:
        rows = [row for row in study.rows if row["sigma"] == sigma]
        sentences += _several_customers(rows, sigma) + _turned(rows, sigma) + _decisions(rows, sigma)
        sentences += _costs(rows, sigma)
    sentences += _swings(study.swings) + _thresholds(study.thresholds) + _launch(study.launch)
    return [*sentences, *_timings(study.timings)]


def millions(amount: float, money: str = "$") -> str:
    """An amount in millions."""
    return f"{'−' if amount < -5e4 else ''}{abs(amount) / 1e6:,.0f} M{money}"


def _plain(amount: float) -> str:
    """A number as a reader wants it."""
    return f"{amount:,.0f}" if abs(amount) >= 1000 else f"{amount:.4g}"


def _listed(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _reproduced(rows: Sequence[Row]) -> list[str]:
    printed = [row for row in rows if row["difference"] is not None]
    if not printed:
        return []
    off = [row for row in printed if abs(row["difference"]) > row["rounding"]]
    sentence = f"Of {len(printed)} printed numbers {len(printed) - len(off)} come out within their rounding"
    if off:
        each = [
            f"{row['case']} ({_WORDS[row['quantity']]} {_plain(row['ours'])} {row['unit']} where "
            f"{_plain(row['published'])} "
            "is printed)"
            for row in off
        ]
        sentence += f"; the others are of studies that do not say in which years they pay: {_listed(each)}"
    ranged = [row for row in rows if row["lower"] is not None]
    inside = sum(row["lower"] <= row["ours"] <= row["upper"] for row in ranged)
    if ranged:
        sentence += f". {inside} of {len(ranged)} of ours lie in the range that the open years allow"
    return [f"{sentence}."]


def _several_customers(rows: Sequence[Row], sigma: float) -> list[str]:
    """Kornuta's claim that every scenario with more than one customer has a positive NPV."""
    several = [row for row in rows if row["case"].startswith("kornuta") and row["customers"] > 1]
    if not several:
        return []
    held = [row for row in several if row["own"] > 0]
    worst = max(several, key=lambda row: row["p_loss_own"])
    lost = [
        f"{row['case']} {millions(row['own_certain'])} to {millions(row['own'])}, P(loss) {row['p_loss_own']:.0%}"
        for row in several
    ]
    word = "survives" if len(held) == len(several) else f"survives in {len(held)} of {len(several)}"
    return [
        f"At σ = {sigma:g} 'every scenario with more than one customer has positive NPV' {word} as a statement of the "
        f"mean ({_listed(lost)}); the largest probability of a loss is {worst['p_loss_own']:.0%}, of {worst['case']}."
    ]


def _turned(rows: Sequence[Row], sigma: float) -> list[str]:
    """Printed plans that earn something without uncertainty and lose with it."""
    turned = [
        f"{row['case']} ({millions(row['own_certain'], row['money'])} to {millions(row['own'], row['money'])})"
        for row in rows
        if row["average_price"] is not None and row["own_certain"] > 0 > row["own"]
    ]
    return (
        [f"At σ = {sigma:g} published plans that earn at σ = 0 lose in the mean: {_listed(turned)}."] if turned else []
    )


def _decisions(rows: Sequence[Row], sigma: float) -> list[str]:
    """Deploy now, wait or leave it, of studies that sell."""
    sold = [row for row in rows if row["average_price"] is not None]
    now = [row for row in sold if row["first_order"] > 0]
    later = [row for row in sold if row["first_order"] <= 0 and row["orders_later"] > 0]
    never = [row for row in sold if row["first_order"] <= 0 and row["orders_later"] <= 0]
    sentences = []
    if now:
        each = [
            f"{row['case']} ({row['first_order'] / row['plan']:.3g} × the study's plant, P(loss) {row['p_loss']:.0%})"
            for row in now
        ]
        sentences.append(
            f"At σ = {sigma:g} it is best to order in year 0 in {len(now)} of {len(sold)}: {_listed(each)}."
        )
    if later:
        each = [
            f"{row['case']} (worth {millions(row['rp'], row['money'])} where the study's plan is worth "
            f"{millions(row['own'], row['money'])}; an order comes with {row['orders_later']:.0%})"
            for row in later
        ]
        sentences.append(f"At σ = {sigma:g} it is best to wait and see in {_listed(each)}.")
    if never:
        names = _listed([row["case"] for row in never])
        sentences.append(f"At σ = {sigma:g} nothing is ever ordered in {names}.")
    dear = max(sold, key=lambda row: row["deferring"], default=None)
    if dear is not None and dear["deferring"] > 0:
        sentences.append(
            f"At σ = {sigma:g} deferring is worth most in {dear['case']}, "
            f"{millions(dear['deferring'], dear['money'])}; "
            "trees end with the study, so later years that it leaves out are worth nothing here."
        )
    return sentences


def _costs(rows: Sequence[Row], sigma: float) -> list[str]:
    """Studies that compare costs and sell nothing."""
    return [
        f"At σ = {sigma:g} {row['case']} costs {millions(-row['rp'])} at best (printed plan {millions(-row['own'])}, "
        f"at σ = 0 {millions(-row['own_certain'])}; Earth alone {millions(-row['nothing'])}); "
        f"the first plant is {row['first_order'] / row['plan']:.2f} of the study's."
        for row in rows
        if row["average_price"] is None
    ]


def _swings(rows: Sequence[Row]) -> list[str]:
    sentences = []
    for name in dict.fromkeys(row["case"] for row in rows):
        each = sorted((row for row in rows if row["case"] == name), key=lambda row: -row["swing"])
        told = [
            f"{row['symbol']} from {_plain(row['from'])} to {_plain(row['to'])} moves it from {millions(row['low'])} "
            f"to {millions(row['high'])}"
            for row in each
        ]
        sentences.append(
            f"Over what is published the optimal NPV of {name} moves most by {each[0]['symbol']}: {_listed(told)}."
        )
    return sentences


def _thresholds(rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    told = [
        f"{row['threshold']:,.1f} at {row['launch']:,.0f} $/kg (lunar {row['lunar']:,.0f}, from Earth "
        f"{row['earth']:,.0f} $/kg)"
        for row in rows
    ]
    rises = all(low["threshold"] < high["threshold"] for low, high in pairwise(rows))
    last = " Without the learning and scale of his lunar industry the threshold rises as launch gets cheaper."
    return [
        f"Metzger's baseline, which makes {rows[0]['product_over_mass']:.0f} times its mass in its life, competes with "
        f"Earth from a product over capital mass of {_listed(told)}; he says about 35." + (last if rises else "")
    ]


def _launch(rows: Sequence[Row]) -> list[str]:
    """Whether to deploy before or after launch gets cheaper."""
    if not rows:
        return []
    told = [
        f"to {row['final']:,.0f} $/kg {millions(row['npv'])} (orders in year {_listed(list(map(str, row['orders'])))}; "
        f"one plant ordered now {millions(row['now'])}, in {row['wait']} years {millions(row['waited'])})"
        for row in rows
    ]
    verdict = "first ordered now on every path" if all(row["orders"][:1] == [0] for row in rows) else "worth"
    return [
        f"With launch that falls from {rows[0]['initial']:,.0f} $/kg over {rows[0]['years']} years, and the price from "
        f"Earth with it, Metzger's baseline is {verdict}: {_listed(told)}."
    ]


def _timings(rows: Sequence[Row]) -> list[str]:
    """When one plant of each study is best ordered as launch gets cheaper."""
    sentences = []
    for sales, told in (("Earth's price", "what Earth delivers for, which falls with launch"), ("study's price", "")):
        chosen = [row for row in rows if row["sales"] == sales]
        certain = [row for row in chosen if row["volatility"] == 0]
        if not certain:
            continue
        names = list(dict.fromkeys(row["case"] for row in certain))
        by_case = {name: [row for row in certain if row["case"] == name] for name in names}
        now = [name for name in names if all(row["order_now"] for row in by_case[name])]
        never = [name for name in names if all(row["chance"] == 0 for row in by_case[name])]
        others = [f"{name} ({_years(by_case[name])})" for name in names if name not in (*now, *never)]
        parts = [
            f"{word} {_listed(found)}"
            for word, found in (("now in", now), ("never in", never), ("in other years in", others))
            if found
        ]
        start = f"sold at {told}," if told else "sold at the prices of the studies, which stay,"
        sentences.append(
            f"As launch gets cheaper for certain and a plant is {start} it is best ordered {'; '.join(parts)}."
        )
        sentences += _uncertain_launch(chosen, certain, start)
    return sentences


def _years(rows: Sequence[Row]) -> str:
    """In which year one plant is ordered by final launch price."""
    years = ["never" if row["mean_year"] is None else f"year {row['mean_year']:.0f}" for row in rows]
    return f"{_listed(years)} on the way to {_listed([format(row['final'], '.0f') for row in rows])} $/kg"


def _uncertain_launch(rows: Sequence[Row], certain: Sequence[Row], start: str) -> list[str]:
    """What changes where the price of launch is uncertain."""
    known = {(row["case"], row["market"]): row for row in certain}
    widest = max(row["volatility"] for row in rows)
    if widest == 0:
        return []
    last = [row for row in rows if row["volatility"] == widest]
    turned = [row for row in last if row["order_now"] != known[row["case"], row["market"]]["order_now"]]
    most = max(last, key=lambda row: row["value"] - max(0.0, row["now"]))
    worth = most["value"] - max(0.0, most["now"])
    trigger = most["trigger_0"]
    same = f"{len(last) - len(turned)} of {len(last)} answers of now or not stay"
    if worth <= 0 or trigger is None:
        return [f"With a launch price of σ = {widest:g}, {start} {same}."]
    money = "€" if most["case"].startswith("roxy") else "$"
    return [
        f"With a launch price of σ = {widest:g}, {start} {same}; waiting is worth most in {most['case']} on the way to "
        f"{most['final']:.0f} $/kg, {millions(worth, money)}: it is ordered "
        f"{'from' if most['slope'] > 0 else 'once launch costs no more than'} {trigger:.2f} of today's price, which "
        f"happens with {most['chance']:.0%} and, if so, in year {most['mean_year']:.0f} on average."
    ]
