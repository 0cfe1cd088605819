// The first view: how the cluster is, and what helps.

import { Chart } from "./chart.js";
import { button, el, icon, reconcile, setText } from "./dom.js";
import { count, counted, duration, percent, rate, size } from "./format.js";
import { HEALTH, UNKNOWN } from "./words.js";
import { nodesCard } from "./nodes.js";
import { copyText } from "./notices.js";

const MIB = 1024 * 1024;

/** The overview; `show` takes over what was polled, whether it is looked at or not, so that charts have no gaps. */
export class Overview {
  constructor(intervalS) {
    this.health = healthCard();
    this.tiles = el("section", { class: "tiles", "aria-label": "Figures" });
    const options = { write: rate, floor: MIB / 16, intervalS };
    this.charts = {
      gateway: new Chart("Through this gateway", [{ name: "uploads", kind: "one" }, { name: "downloads", kind: "two" }], options),
      cluster: new Chart("Chunkservers", [{ name: "written", kind: "one" }, { name: "read", kind: "two" }], options),
      repair: new Chart("Repair and scrub", [{ name: "copied", kind: "three" }, { name: "checked", kind: "four" }], options),
    };
    this.nodes = nodesCard();
    this.keys = keysCard();
    this.gateway = gatewayCard();
    this.element = el(
      "div",
      { class: "overview" },
      el("h1", { class: "sr-only", text: "Overview" }),
      this.health.element,
      this.tiles,
      el("div", { class: "charts" }, ...Object.values(this.charts).map((chart) => chart.element)),
      this.nodes.element,
      el("div", { class: "pair" }, this.keys.element, this.gateway.element),
    );
  }

  /** Show what was polled; each is null while it is not known. `failure` says why not. `before` is the gateway's answer before. */
  show({ gateway, cluster, before, failure }) {
    this.health.show(cluster, failure);
    this.nodes.show(cluster);
    this.element.setAttribute("aria-busy", cluster === null ? "true" : "false");
    if (cluster !== null) reconcile(this.tiles, tilesOf(cluster), { key: (tile) => tile.name, make: makeTile, update: updateTile });
    if (gateway !== null) {
      this.keys.show(gateway);
      this.gateway.show(gateway);
    }
    this.charts.gateway.push(gatewayRates(gateway, before));
    this.charts.cluster.push(cluster === null ? [null, null] : [cluster.traffic.write_bytes_per_s, cluster.traffic.read_bytes_per_s]);
    this.charts.repair.push(cluster === null ? [null, null] : [cluster.traffic.copied_bytes_per_s, cluster.traffic.scrubbed_bytes_per_s]);
    this.charts.cluster.tell("over the network");
    if (cluster !== null) this.charts.repair.tell(leftOf(cluster.repair));
  }
}

function leftOf({ left_bytes, left_s }) {
  if (left_bytes === 0) return "nothing to copy";
  return `${size(left_bytes)} to copy${left_s === null ? "" : `, ${duration(left_s)}`}`;
}

function gatewayRates(now, before) {
  if (now === null || before === null || now.uptime_s <= before.uptime_s) return [null, null];
  const elapsed = now.uptime_s - before.uptime_s;
  return [(now.received_bytes - before.received_bytes) / elapsed, (now.sent_bytes - before.sent_bytes) / elapsed];
}

function healthCard() {
  const mark = el("span", { class: "mark" });
  const title = el("h2", { text: "Asking the cluster…" });
  const code = el("code", {});
  const summary = el("p", { class: "summary" });
  const checks = el("ul", { class: "checks" });
  const element = el(
    "section",
    { class: "card health none", id: "health", "aria-label": "Health" },
    el("div", { class: "headline" }, mark, el("div", {}, el("div", { class: "title" }, title, code), summary)),
    checks,
  );
  function show(cluster, failure) {
    const look = HEALTH[cluster?.health] ?? UNKNOWN;
    element.className = `card health ${look.kind}`;
    if (mark.dataset.image !== look.image) {
      mark.replaceChildren(icon(look.image));
      mark.dataset.image = look.image;
    }
    setText(title, look.title);
    setText(code, cluster?.health ?? "");
    setText(summary, cluster === null ? failure.message : cluster.summary || wellBeing(cluster));
    reconcile(checks, cluster?.checks ?? [], { key: (check) => check.code, make: makeCheck, update: updateCheck });
  }
  return { element, show };
}

function wellBeing(cluster) {
  if (cluster.checks.length > 0) return counted(cluster.checks.length, "reason");
  return cluster.chunks === 0
    ? `${counted(cluster.nodes_up, "node")} up, and nothing is missing.`
    : `${counted(cluster.nodes_up, "node")} up, and all ${counted(cluster.chunks, "chunk")} have their ${cluster.replicas} copies.`;
}

function makeCheck() {
  const command = el("code", {});
  return el(
    "li",
    {},
    el("span", { class: "code" }),
    el("span", { class: "message" }),
    el("div", { class: "help" }, el("span", { class: "sr-only", text: "What helps: " }), command,
      button("Copy the command", { image: "copy", text: "", act: () => copyText(command) })),
  );
}

function updateCheck(item, check) {
  const [code, message, help] = item.children;
  code.className = `code pill ${(HEALTH[check.severity] ?? UNKNOWN).kind}`;
  setText(code, check.code);
  setText(message, check.message);
  help.hidden = check.command === "";
  setText(help.querySelector("code"), check.command);
}

function tilesOf(cluster) {
  const lacking = cluster.under_replicated_chunks + cluster.unavailable_chunks;
  const states = cluster.group_states;
  const odd = [["filling", states.filling], ["degraded", states.degraded], ["unavailable", states.unavailable]].filter(([, number]) => number > 0);
  const used = cluster.total_bytes > 0 ? cluster.used_bytes / cluster.total_bytes : 1;
  return [
    { name: "Nodes", value: `${cluster.nodes_up} / ${cluster.nodes_total}`, more: "up", kind: cluster.nodes_up < cluster.nodes_total ? "warn" : "" },
    { name: "Files", value: count(cluster.files), more: `${size(cluster.logical_bytes)} in ${counted(cluster.directories, "folder")}`, kind: "" },
    { name: "Chunks", value: count(cluster.chunks), more: lacking === 0 ? `${cluster.replicas} copies of each` : `${count(cluster.under_replicated_chunks)} lack copies, ${count(cluster.unavailable_chunks)} unavailable`, kind: cluster.unavailable_chunks > 0 ? "bad" : lacking > 0 ? "warn" : "" },
    { name: "Groups", value: count(cluster.groups), more: odd.length === 0 ? "all whole" : odd.map(([word, number]) => `${count(number)} ${word}`).join(", "), kind: states.unavailable > 0 ? "bad" : odd.length > 0 ? "warn" : "" },
    { name: "Space", value: percent(used), more: `used of ${size(cluster.total_bytes)}`, kind: used >= 0.95 ? "bad" : used >= 0.85 ? "warn" : "" },
    { name: "Restorable", value: count(cluster.retained_files), more: `${size(cluster.retained_bytes)}, for ${duration(cluster.retention_s)}`, kind: "" },
  ];
}

function makeTile() {
  return el("div", { class: "card tile" }, el("h2", {}), el("p", { class: "value" }), el("p", { class: "more" }));
}

function updateTile(item, tile) {
  const [name, value, more] = item.children;
  item.className = `card tile ${tile.kind}`;
  setText(name, tile.name);
  setText(value, tile.value);
  setText(more, tile.more);
}

function keysCard() {
  const list = el("ul", { class: "keys" });
  const problem = el("p", { class: "problem", hidden: true });
  const element = el(
    "section",
    { class: "card", id: "keys" },
    el("h2", { text: "Keys of this gateway" }),
    list,
    problem,
    el("p", { class: "fine", text: "What names a key says nothing of it. The first one encrypts what is uploaded." }),
  );
  function show(gateway) {
    reconcile(list, gateway.keys, {
      key: (each) => each.id,
      // Its beginning is what the command calls a fingerprint.
      make: () => el("li", {}, icon("key"), el("code", {}, el("strong", {}), el("span", {})), el("span", { class: "pill good", text: "active" })),
      update: (item, each) => {
        const [start, rest] = item.children[1].children;
        setText(start, each.id.slice(0, 8));
        setText(rest, each.id.slice(8));
        item.children[2].hidden = !each.is_active;
      },
    });
    problem.hidden = gateway.key_problem === null;
    setText(problem, gateway.key_problem ?? "");
  }
  return { element, show };
}

function gatewayCard() {
  const list = el("dl", {});
  const element = el("section", { class: "card", id: "gateway" }, el("h2", { text: "Gateway" }), list);
  function show(gateway) {
    const facts = [
      ["You are", gateway.identity.name],
      ["You may", gateway.identity.rights.join(", ")],
      ["Uploaded", size(gateway.received_bytes)],
      ["Downloaded", size(gateway.sent_bytes)],
      ["Requests", `${count(gateway.requests)}, ${count(gateway.failures)} failed`],
      ["Runs for", duration(gateway.uptime_s)],
    ];
    reconcile(list, facts, {
      key: ([name]) => name,
      make: () => el("div", {}, el("dt", {}), el("dd", {})),
      update: (item, [name, value]) => {
        setText(item.children[0], name);
        setText(item.children[1], value);
      },
    });
  }
  return { element, show };
}
