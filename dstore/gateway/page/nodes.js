// The table of chunkservers, with how full their disks are and what they do.

import { el, reconcile, setText } from "./dom.js";
import { count, duration, percent, rate, size } from "./format.js";
import { stateOf } from "./words.js";

const HEADS = ["Node", "State", "Disk", "Chunks", "Groups", "Moves", "Heard"];

/** Make the card. */
export function nodesCard() {
  const body = el("tbody", {});
  const none = el("p", { class: "empty", text: "Asking the cluster…" });
  const table = el(
    "table",
    { class: "nodes" },
    el("thead", {}, el("tr", {}, ...HEADS.map((text) => el("th", { scope: "col", text })))),
    body,
  );
  const element = el("section", { class: "card", id: "nodes" }, el("h2", { text: "Nodes" }), none, table);
  function show(cluster) {
    if (cluster === null) return;
    setText(none, "No chunkserver has joined. `dstore chunkserver run` starts one.");
    none.hidden = cluster.nodes.length > 0;
    table.hidden = cluster.nodes.length === 0;
    reconcile(body, cluster.nodes, { key: (node) => node.name, make: makeRow, update: updateRow });
  }
  return { element, show };
}

function makeRow() {
  const bar = el("div", { class: "fill", role: "meter", "aria-valuemin": "0", "aria-valuemax": "100" }, el("div", {}));
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, el("span", { class: "name" }), el("span", { class: "fine" })),
    el("td", { "data-head": HEADS[1] }, el("span", {})),
    el("td", { "data-head": HEADS[2], class: "disk" }, bar, el("span", { class: "fine" })),
    ...HEADS.slice(3).map((head) => el("td", { "data-head": head })),
  );
}

function updateRow(row, node) {
  const [name, state, disk, chunks, groups, moves, heard] = row.children;
  setText(name.children[0], node.name);
  setText(name.children[1], [node.address, node.rack].filter((text) => text !== "").join(", "));
  const look = stateOf(node);
  state.firstElementChild.className = `pill ${look.kind}`;
  setText(state.firstElementChild, look.title);
  showDisk(disk, node);
  const less = [
    node.missing_chunks > 0 ? `${count(node.missing_chunks)} missing` : "",
    node.corrupt_chunks > 0 ? `${count(node.corrupt_chunks)} damaged` : "",
  ].filter((text) => text !== "");
  chunks.classList.toggle("odd", less.length > 0);
  setText(chunks, [count(node.chunks), ...less].join(", "));
  setText(groups, `${count(node.groups)}${node.filling_groups > 0 ? `, ${count(node.filling_groups)} filling` : ""}`);
  setText(moves, movesOf(node));
  setText(heard, heardOf(node.heard_s_ago));
}

function showDisk(cell, node) {
  const [bar, text] = cell.children;
  const share = node.total_bytes > 0 ? node.used_bytes / node.total_bytes : 1;
  bar.setAttribute("aria-valuenow", String(Math.round(100 * share)));
  bar.setAttribute("aria-label", `Disk of ${node.name}: ${percent(share)} used`);
  bar.className = `fill ${share >= 0.95 ? "bad" : share >= 0.85 ? "warn" : "good"}`;
  bar.firstElementChild.style.width = `${Math.max(100 * share, 0.5)}%`;
  setText(text, `${size(node.used_bytes)} of ${size(node.total_bytes)}, ${percent(share)}`);
}

function heardOf(seconds) {
  if (seconds === null) return "never";
  return seconds < 2 ? "just now" : `${duration(seconds)} ago`;
}

function movesOf(node) {
  const rates = node.traffic;
  const parts = [
    ["writes", rates.write_bytes_per_s],
    ["reads", rates.read_bytes_per_s],
    ["copies", rates.copied_bytes_per_s],
  ].filter(([, value]) => value > 0);
  return parts.length === 0 ? "–" : parts.map(([word, value]) => `${word} ${rate(value)}`).join(", ");
}
