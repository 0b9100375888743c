"use strict";

// Every text comes from elsewhere: it goes into the page as text, never as markup.
const PERIOD = 2000;
const byId = (id) => document.getElementById(id);

function element(tag, text, name) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (name) made.className = name;
  return made;
}

function seconds(value) {
  if (value === null) return "";
  const whole = Math.round(value);
  return whole < 120 ? `${whole} s` : whole < 7200 ? `${Math.round(whole / 60)} min` : `${(whole / 3600).toFixed(1)} h`;
}

function lasted(milliseconds) {
  if (milliseconds === null || milliseconds === undefined) return "–";
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

function bytes(value) {
  if (!value) return "";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const step = Math.min(units.length - 1, Math.floor(Math.log2(value) / 10));
  return `${(value / 2 ** (10 * step)).toFixed(step ? 1 : 0)} ${units[step]}`;
}

async function ask(path, body, token) {
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  const method = body === undefined ? "GET" : "POST";
  const answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.error?.message ?? `${path} answered ${answer.status}`);
  return told;
}

function summary(stats) {
  const rate = stats.cache_hit_rate;
  const shown = {
    Residency: stats.cache_strategy,
    "Found loaded": rate === null ? "–" : `${(rate * 100).toFixed(1)} %`,
    "Mean load": lasted(stats.avg_swap_time_ms),
    Waiting: stats.waiting,
  };
  byId("summary").replaceChildren(
    ...Object.entries(shown).map(([name, value]) => {
      const pair = element("div");
      pair.append(element("dt", name), element("dd", value));
      return pair;
    }),
  );
}

function timeLeft(model) {
  const cell = element("td");
  if (model.pinned) cell.append("pinned");
  else if (model.expires_in_s !== null) {
    const meter = element("meter");
    meter.max = model.keep_alive_s || 1;
    meter.value = model.expires_in_s;
    cell.append(meter, ` ${seconds(model.expires_in_s)}`);
  }
  return cell;
}

const pending = new Set();

function button(text, word, body) {
  const made = element("button", text);
  made.disabled = pending.has(body.model);
  made.type = "button";
  made.dataset.word = word;
  made.setAttribute("aria-label", `${text} ${body.model}`);
  made.addEventListener("click", () => change(word, body));
  return made;
}

function row(model, stats) {
  const made = element("tr");
  const name = element("td", model.model);
  if (model.engine) name.append(" ", element("span", model.engine, "quiet"));
  const actions = element("td", undefined, "actions");
  const there = model.phase === "loaded" || model.phase === "loading";
  actions.append(
    there
      ? button("Unload", "unload", { model: model.model })
      : button("Load", "preload", { model: model.model }),
    button(model.pinned ? "Unpin" : "Pin", "pin", { model: model.model, pinned: !model.pinned }),
  );
  made.append(
    name,
    element("td", model.phase, `state ${model.phase}`),
    element("td", model.in_flight, "number"),
    element("td", model.waiting, "number"),
    timeLeft(model),
    element("td", model.phase === "cold" ? "" : bytes(model.bytes), "number"),
    element("td", stats.swaps[model.model] ?? 0, "number"),
    element("td", lasted(stats.swap_times_ms[model.model]), "number"),
    actions,
  );
  return made;
}

function rules(hit) {
  const lines = Object.entries(hit).sort((one, other) => other[1] - one[1]);
  byId("rules").replaceChildren(
    ...lines.map(([rule, count]) => {
      const line = element("li");
      line.append(element("span", rule), element("span", `${count}`, "quiet"));
      return line;
    }),
  );
  if (!lines.length) byId("rules").append(element("li", "No request has left the choice yet.", "quiet"));
}

function trouble(message) {
  byId("trouble").textContent = message;
  byId("trouble").hidden = !message;
}

async function refresh() {
  try {
    const stats = await ask("/api/llm/stats");
    trouble("");
    summary(stats);
    rules(stats.rules_hit);
    // A button that somebody is about to press stays where it is.
    if (!byId("models").querySelector("button:active"))
      byId("models").replaceChildren(...stats.models.map((model) => row(model, stats)));
  } catch (reason) {
    trouble(`${reason.message}. Trying again.`);
  }
}

async function change(word, body) {
  pending.add(body.model);
  byId("done").textContent = `${word} ${body.model} …`;
  byId("done").className = "quiet";
  refresh();
  try {
    const told = await ask(`/api/llm/${word}`, body, byId("token").value.trim());
    byId("done").textContent = `${told.model}: ${told.pinned ? "pinned, " : ""}${told.phase}`;
  } catch (reason) {
    byId("done").textContent = reason.message;
    byId("done").className = "bad";
  }
  pending.delete(body.model);
  await refresh();
}

async function explain(event) {
  event.preventDefault();
  const text = byId("text").value;
  const path = byId("endpoint").value;
  const body = { model: byId("model").value };
  if (/chat|messages/.test(path)) body.messages = [{ role: "user", content: text }];
  else if (/embed|responses/.test(path)) body.input = text;
  else body.prompt = text;
  const shown = byId("answer");
  try {
    const told = await ask(`/api/llm/route?endpoint=${encodeURIComponent(path)}`, body);
    const first = element("p");
    first.append(element("strong", told.model), ` on ${told.engine}: ${told.why}.`);
    if (told.residency) {
      const { phase, waits, unloads } = told.residency;
      const going = unloads?.length ? `, and ${unloads.join(", ")} would go for it` : "";
      first.append(element("span", ` It is ${phase}${waits ? ": the request would wait" : ""}${going}.`, "quiet"));
    }
    const list = element("ul");
    for (const one of told.considered) {
      const line = element("li");
      line.append(element("span", one.rule), element("span", one.holds ? "holds" : one.why_not, "quiet"));
      list.append(line);
    }
    shown.replaceChildren(first, list);
  } catch (reason) {
    shown.replaceChildren(element("p", reason.message, "bad"));
  }
}

byId("route").addEventListener("submit", explain);
byId("key").addEventListener("submit", (event) => event.preventDefault());
refresh();
setInterval(() => document.hidden || refresh(), PERIOD);
