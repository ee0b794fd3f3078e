"""What the page of a case with tables says beyond that of a base case."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stochisru.report.elements import number, table

if TYPE_CHECKING:
    import pandas as pd

#: Share of the largest mean order of a year from which on a technology is being built.
_SOME = 1e-3


def technologies_in_words(tables: Mapping[str, pd.DataFrame]) -> str:
    """When each technology comes, and what having it is worth."""
    if "technologies" not in tables:
        return ""
    words = []
    built = tables["operations"][tables["operations"]["group"] == "deployment"]
    built = built[built["strategy"] == built["strategy"].iloc[0]]
    others = "the other" if len(tables["technologies"]) == 2 else "the others"
    for row in tables["technologies"].to_dict("records"):
        own = built[(built["of"] == row["technology"]) & (built["mean"] > _SOME * built["mean"].max())]
        when = f"from year {own['year'].min():.0f}" if len(own) else "never"
        words.append(
            f"{html.escape(str(row['technology']))} is built {when}, and having it adds "
            f"$&nbsp;{number(row['value'], '$')}&nbsp;million to {others}"
        )
    return f" Of the technologies, {'; '.join(words)} (of the tree)."


def abandonment_in_words(worth: float | None) -> str:
    """What the option to abandon plant is worth, in a sentence."""
    if worth is None:
        return ""
    return f" To be able to abandon plant is worth $&nbsp;{number(worth, '$')}&nbsp;million (of the tree)."


def support_in_words(worth: dict[str, Any] | None) -> str:
    """What support is worth to whom, in a sentence."""
    if worth is None:
        return ""
    firm, government, both = (
        f"$&nbsp;{number(worth[who], '$')}&nbsp;million" for who in ("firm", "government", "both")
    )
    cost = ""
    if worth["per_kg"] is not None:
        cost = f"; a kilogram of oxygen more costs the government $&nbsp;{number(worth['per_kg'])}"
    return (
        f" With the support of the case the plan is worth {firm} to the firm, {government} to the government and "
        f"{both} to both (of the tree, less what doing nothing gives{cost})."
    )


def yearly(operations: pd.DataFrame) -> str:
    """Means of what people look at by year under the committed policy."""
    own = operations[(operations["strategy"] == operations["strategy"].iloc[0]) & (operations["group"] != "other")]
    years = sorted(own["year"].unique())
    rows = []
    for (group, of), part in own.groupby(["group", "of"], sort=False):
        by_year = part.set_index("year")["mean"]
        rows.append([f"{html.escape(group)}: {html.escape(of)}", *(number(round(by_year[t], 6)) for t in years)])
    return table(["mean, kg", *(f"year {t}" for t in years)], rows, caption="What the policy comes to, by year")
