// What health and states are called, and how they look.

export const HEALTH = {
  HEALTH_OK: { kind: "good", title: "Healthy", image: "check" },
  HEALTH_WARN: { kind: "warn", title: "Warning", image: "warning" },
  HEALTH_ERR: { kind: "bad", title: "Error", image: "error" },
};

export const UNKNOWN = { kind: "none", title: "Unknown", image: "unknown" };

const PHASES = {
  up: { kind: "good", title: "up" },
  suspect: { kind: "warn", title: "suspect" },
  down: { kind: "bad", title: "down" },
  out: { kind: "bad", title: "out" },
};

/** Return how the state of a node is shown. */
export function stateOf(node) {
  const phase = PHASES[node.phase] ?? { kind: "none", title: node.phase };
  return node.duty === "active" ? phase : { kind: phase.kind === "good" ? "warn" : phase.kind, title: `${phase.title}, ${node.duty}` };
}
