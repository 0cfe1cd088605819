// A small chart that moves: lines over the last three minutes, kept in the page.

import { el, setText, svg } from "./dom.js";
import { duration } from "./format.js";

const POINTS = 90;
// A chart that begins shows less, so that it is seen to move.
const POINTS_AT_FIRST = 30;
const WIDTH = 300;
const HEIGHT = 96;

/** One chart. `series` are `{name, kind}`; `write` turns a value into text; `floor` is the least top of the scale. */
export class Chart {
  constructor(title, series, { write, floor, intervalS }) {
    this.series = series;
    this.write = write;
    this.floor = floor;
    this.intervalS = intervalS;
    this.title = title;
    this.history = [];
    this.pushedS = 0;
    this.hovered = null;
    this.areas = series.map(({ kind }) => svg("path", { class: `area ${kind}` }));
    this.lines = series.map(({ kind }) => svg("path", { class: `line ${kind}` }));
    this.cursor = svg("path", { class: "cursor" });
    const grid = [0.25, 0.5, 0.75].map((share) => svg("path", { class: "grid", d: `M0 ${share * HEIGHT}H${WIDTH}` }));
    this.plot = svg(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": title },
      ...grid, ...this.areas, ...this.lines, this.cursor,
    );
    this.values = series.map(() => el("strong", { text: "–" }));
    this.top = el("span", { class: "top" });
    this.since = el("span", {});
    this.note = el("span", {});
    this.when = el("span", { text: "now" });
    this.element = el(
      "section",
      { class: "card chart" },
      el("h2", { text: title }),
      el("ul", { class: "legend" }, ...series.map(({ name, kind }, index) =>
        el("li", {}, el("i", { class: kind }), el("span", { text: name }), this.values[index]))),
      el("div", { class: "plot" }, this.plot, this.top),
      el("p", { class: "axis" }, this.since, this.note, this.when),
    );
    this.plot.addEventListener("pointermove", (event) => this.#hover(event));
    this.plot.addEventListener("pointerleave", () => this.#leave());
  }

  /** Add what was measured now, one value of each series; null where nothing is known. */
  push(values) {
    const now = performance.now() / 1000;
    // Nobody looked, so nothing was asked: a gap.
    const missed = this.history.length === 0 ? 0 : Math.min(Math.round((now - this.pushedS) / this.intervalS) - 1, POINTS);
    for (let gap = 0; gap < missed; gap += 1) this.history.push(this.series.map(() => null));
    this.pushedS = now;
    this.history.push(values);
    this.history.splice(0, this.history.length - POINTS);
    this.#draw();
  }

  /** Say something below the chart. */
  tell(note) {
    setText(this.note, note);
  }

  #draw() {
    const largest = Math.max(this.floor, ...this.history.flat().map((value) => value ?? 0));
    const top = roundUp(largest);
    this.series.forEach((_, index) => {
      const runs = this.#runs(index, top);
      const lines = runs.map((points) => points.map(([x, y], at) => `${at === 0 ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`).join(""));
      this.lines[index].setAttribute("d", lines.join(""));
      this.areas[index].setAttribute("d", lines.map((line, at) => `${line}V${HEIGHT}H${runs[at][0][0].toFixed(1)}Z`).join(""));
    });
    setText(this.top, this.write(top));
    setText(this.since, `${duration((this.#span() - 1) * this.intervalS)} ago`);
    this.#tell();
  }

  /** Return the places of what is known of a series, without a line where nothing is. */
  #runs(index, top) {
    const runs = [];
    let isInside = false;
    this.history.forEach((values, at) => {
      const value = values[index];
      if (value !== null) {
        if (!isInside) runs.push([]);
        runs.at(-1).push([this.#x(at), HEIGHT - (HEIGHT - 4) * (value / top)]);
      }
      isInside = value !== null;
    });
    return runs;
  }

  #x(at) {
    return WIDTH - (this.history.length - 1 - at) * this.#step();
  }

  #step() {
    return WIDTH / (this.#span() - 1);
  }

  #span() {
    return Math.max(POINTS_AT_FIRST, this.history.length);
  }

  #hover(event) {
    const box = this.plot.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * WIDTH;
    const back = Math.round((WIDTH - x) / this.#step());
    this.hovered = Math.min(Math.max(back, 0), Math.max(this.history.length - 1, 0));
    this.#tell();
  }

  #leave() {
    this.hovered = null;
    this.#tell();
  }

  #tell() {
    const back = this.hovered ?? 0;
    const values = this.history.at(-1 - back);
    if (values === undefined) return;
    const texts = values.map((value) => (value === null ? "–" : this.write(value)));
    texts.forEach((text, index) => setText(this.values[index], text));
    setText(this.when, back === 0 ? "now" : `${duration(back * this.intervalS)} ago`);
    this.cursor.setAttribute("d", this.hovered === null ? "" : `M${this.#x(this.history.length - 1 - back)} 0V${HEIGHT}`);
    const spoken = this.series.map(({ name }, index) => `${name} ${texts[index]}`).join(", ");
    this.plot.setAttribute("aria-label", `${this.title}: ${spoken}`);
  }
}

/** Return the next number of the kind 1, 2, 4 or 8 times a power of 1024 or 2. */
function roundUp(value) {
  return 2 ** Math.ceil(Math.log2(Math.max(value, 1)));
}
