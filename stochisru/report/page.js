"use strict";
const byId = (name) => document.getElementById(name);
const dataOf = (name) => { const at = byId(name); return at ? JSON.parse(at.textContent) : null; };
const make = (kind, text, attributes) => {
  const made = document.createElement(kind);
  if (text) made.textContent = text;
  for (const name in attributes || {}) made.setAttribute(name, attributes[name]);
  return made;
};
const told = (value, digits) => value.toLocaleString("en", { maximumFractionDigits: digits }).replace("-", "−");

// Tables that can be sorted: a button in each heading.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => {
    const button = make("button", head.textContent, { type: "button" });
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") === "descending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const key = (row) => { const v = row.cells[column].dataset.v; return v === undefined ? row.cells[column].textContent : Number(v); };
      const rows = [...body.rows].sort((a, b) => {
        const x = key(a), y = key(b);
        const known = Number.isNaN(x) - Number.isNaN(y);
        if (known) return known;
        const order = typeof x === "string" ? x.localeCompare(y) : x - y;
        return up ? order : -order;
      });
      body.append(...rows);
    });
  });
}

// The rule of later years: order up to k times demand.
const rule = dataOf("rule-data");
if (rule) {
  const year = byId("rule-year"), demand = byId("rule-demand"), plant = byId("rule-plant");
  const compute = () => {
    const row = rule.years.find((one) => one.year === Number(year.value));
    const seen = Number(demand.value), there = Number(plant.value), out = byId("rule-order"), why = byId("rule-why");
    if (!row || demand.value === "" || plant.value === "" || !(seen >= 0) || !(there >= 0)) {
      out.textContent = "–";
      why.textContent = "Demand and plant are numbers, 0 or more.";
      return;
    }
    const kg = Math.max(0, row.k * seen - there);
    out.textContent = told(kg, 1) + " kg, to arrive in year " + row.arrival;
    out.dataset.kg = String(kg);
    why.textContent = "In year " + row.year + " order up to " + told(row.k, 4) + " kg of plant per kg/yr of demand: " + told(row.k * seen, 1) + " kg.";
  };
  for (const field of [year, demand, plant]) field.addEventListener("input", compute);
  byId("rule-form").addEventListener("submit", (event) => event.preventDefault());
  compute();
}

// Distributions: curves on and off, and the share of futures below a value.
const curves = dataOf("curves-data");
if (curves) {
  const charts = [...document.querySelectorAll("svg[data-chart='target_curves']")];
  const on = new Set(curves.shown), box = byId("curves-choice"), slider = byId("curves-at"), tip = byId("curves-tip");
  const below = (curve, x) => {
    const v = curve.values, p = curve.levels, n = v.length;
    if (x < v[0]) return p[0] > 0.01 ? p[0] : 0;
    if (x >= v[n - 1]) return p[n - 1] > 0.99 ? 1 : p[n - 1];
    const i = v.findIndex((one) => one > x), span = v[i] - v[i - 1];
    return p[i - 1] + (span > 0 ? (p[i] - p[i - 1]) * (x - v[i - 1]) / span : 0);
  };
  const show = () => {
    for (const chart of charts) {
      for (const line of chart.querySelectorAll(".series")) line.classList.toggle("off", !on.has(line.dataset.key));
    }
    say();
  };
  const say = () => {
    const x = Number(slider.value);
    for (const chart of charts) {
      const plot = chart.querySelector(".plot").dataset, at = Number(plot.left) + (x * curves.scale - plot.x0) / (plot.x1 - plot.x0) * (plot.right - plot.left);
      let line = chart.querySelector(".cursor");
      if (!line) {
        line = document.createElementNS("http://www.w3.org/2000/svg", "line");
        line.setAttribute("class", "cursor");
        chart.append(line);
      }
      for (const [name, value] of [["x1", at], ["x2", at], ["y1", plot.top], ["y2", plot.bottom]]) line.setAttribute(name, value);
    }
    const said = curves.curves.filter((one) => on.has(one.key)).map((one) => one.name + " " + told(100 * below(one, x), 1) + "%");
    tip.textContent = "Below " + told(x, 1) + " " + curves.unit + ": " + (said.join(", ") || "no curve is on") + " of futures.";
  };
  for (const one of curves.curves) {
    const field = make("input", "", { type: "checkbox", value: one.key });
    field.checked = on.has(one.key);
    field.addEventListener("change", () => { if (field.checked) on.add(one.key); else on.delete(one.key); show(); });
    const label = make("label");
    label.append(field, one.name);
    box.append(label);
  }
  slider.addEventListener("input", say);
  for (const chart of charts) {
    chart.addEventListener("pointermove", (event) => {
      const plot = chart.querySelector(".plot").dataset, room = chart.getBoundingClientRect();
      const at = (event.clientX - room.left) / room.width * chart.viewBox.baseVal.width;
      const share = Math.min(1, Math.max(0, (at - plot.left) / (plot.right - plot.left)));
      slider.value = (Number(plot.x0) + share * (plot.x1 - plot.x0)) / curves.scale;
      say();
    });
  }
  for (const part of document.querySelectorAll(".needs-script")) part.hidden = false;
  show();
}

// What is folded is printed too.
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open])")];
  for (const part of opened) part.open = true;
});
addEventListener("afterprint", () => { for (const part of opened) part.open = false; });
