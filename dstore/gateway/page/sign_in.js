// Asks for a token, for a gateway that wants one. It is kept in this tab only, and forgotten with it.

import { ask, setToken } from "./api.js";
import { el } from "./dom.js";

/** Make the form; `done` gets what the gateway tells of itself once a token is good. `failure` is why it is asked for. */
export function signIn(failure, done) {
  const input = el("input", { id: "token", type: "password", required: true, autocomplete: "off", spellcheck: "false" });
  const problem = el("p", { class: "problem", role: "alert" });
  const submit = el("button", { type: "submit", class: "main", text: "Sign in" });
  if (failure.reason !== "TOKEN_MISSING") problem.textContent = failure.message;
  setToken("");
  async function attempt() {
    problem.textContent = "";
    submit.disabled = true;
    const token = input.value.trim();
    try {
      // A header takes no other letters, and no token has any.
      if (!/^[!-~]+$/.test(token)) throw new Error("This is no token: it has letters that no token has. Copy it again.");
      setToken(token);
      const told = await ask("GET", "/v1/gateway");
      done(told);
    } catch (refusal) {
      setToken("");
      problem.textContent = refusal.message;
      input.select();
    }
    submit.disabled = false;
  }
  return el(
    "section",
    { class: "card sign-in" },
    el("h1", { text: "Sign in" }),
    el("p", {}, "This gateway wants a token. Its operator makes one with ", el("code", { text: "dstore gateway token NAME" }), "."),
    el(
      "form",
      { on: { submit: (event) => { event.preventDefault(); void attempt(); } } },
      el("label", { for: "token", text: "Token" }),
      input,
      problem,
      submit,
    ),
    el("p", { class: "fine", text: "It stays in this tab, and is forgotten when you close it." }),
  );
}
