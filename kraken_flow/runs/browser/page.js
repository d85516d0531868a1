"use strict";
(() => {
  const PER_PAGE = 100;
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const runs = data.rows.map((row) => Object.fromEntries(data.columns.map((name, i) => [name, row[i]])));

  const share = (x) => (x === null ? "–" : `${x > 0 ? "+" : ""}${(100 * x).toFixed(2)} %`);
  const fixed = (x) => (x === null ? "–" : x.toFixed(2));
  const count = (x) => (x === null ? "–" : x.toLocaleString("en"));
  const day = (x) => (x ? x.slice(0, 10) : "");
  const minute = (x) => (x ? x.slice(0, 16).replace("T", " ") : "–");
  const sign = (x) => (x > 0 ? "up" : x < 0 ? "down" : "");

  // Text goes in by textContent alone: what a run says of itself is never read as markup.
  const make = (tag, text, name) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (name) element.className = name;
    return element;
  };

  // A line may end between a day and its time, and not inside of either.
  const words = (box, text) => text.split(" ").forEach((word, i) => box.append(i ? " " : "", make("span", word)));

  const columns = [
    { label: "Strategy", name: "strategy", kind: "strategy", fill: (run, box) => {
      box.append(run.strategy ?? "–");
      const said = [run.pairs, run.timeframe, run.synthetic ? "synthetic sample market" : null];
      box.append(make("small", said.filter(Boolean).join(" · ")));
      if (run.error) box.append(make("small", run.error, "error"));
      if (run.killed_at) box.append(make("small", `trading ended by a limit at ${minute(run.killed_at)}`, "warn"));
      if (run.would_have_been_killed_at) {
        const when = minute(run.would_have_been_killed_at);
        box.append(make("small", `limits only recorded: would have been killed at ${when}`, "warn"));
      }
    } },
    { label: "Mode", name: "mode", fill: (run, box) => box.append(
      run.kind === "sweep" ? `sweep of ${run.members ?? "?"}` : (run.mode ?? "–")) },
    { label: "Status", name: "status", fill: (run, box) => {
      const known = ["finished", "failed", "damaged", "killed", "interrupted", "running"];
      const verdict = run.status === "finished" ? run.verdict : null;
      const tone = verdict ? (verdict === "passed" ? "finished" : "failed") : known.includes(run.status) ? run.status : "";
      box.append(make("span", verdict ? `audit ${verdict}` : run.status, tone));
    } },
    { label: "Started", name: "started", kind: "when", fill: (run, box) => words(box, minute(run.started)) },
    { label: "Span", name: "first", kind: "when", fill: (run, box) => words(box,
      run.first || run.last ? `${day(run.first)}\u00a0– ${day(run.last)}` : "–") },
    { label: "Return", name: "total_return", number: true, fill: (run, box) =>
      box.append(make("span", share(run.total_return), sign(run.total_return))) },
    { label: "Sharpe", name: "sharpe", number: true, fill: (run, box) => box.append(fixed(run.sharpe)) },
    { label: "Drawdown", name: "max_drawdown", number: true, fill: (run, box) => box.append(share(run.max_drawdown)) },
    { label: "Trades", name: "trades", number: true, fill: (run, box) => box.append(count(run.trades)) },
    { label: "Run", name: "path", kind: "folder", fill: (run, box) => {
      const name = make("code", run.path);
      if (run.report) {
        const link = make("a");
        link.href = run.report;
        link.append(name);
        link.setAttribute("aria-label", `Report of ${run.path}`);
        box.append(link);
      } else {
        box.append(name);
      }
      if (run.order_log_sha256) {
        const hash = make("small", `orders ${run.order_log_sha256.slice(0, 8)}`);
        hash.title = `order log ${run.order_log_sha256}`;
        box.append(hash);
      }
    } },
  ];

  const state = { text: "", mode: "", status: "", members: false, sort: "started", down: true, shown: PER_PAGE };
  const searched = new Map(runs.map((run) => [run,
    [run.strategy, run.pairs, run.path, run.mode, run.timeframe, run.order_log_sha256, run.config_sha256, run.error]
      .filter(Boolean).join(" ").toLowerCase()]));

  const wanted = () => {
    const words = state.text.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = runs.filter((run) =>
      (state.members || run.kind !== "member")
      && (!state.mode || (state.mode === "sweep" ? run.kind === "sweep" : run.mode === state.mode && run.kind !== "sweep"))
      && (!state.status || run.status === state.status)
      && words.every((word) => searched.get(run).includes(word)));
    const key = state.sort;
    return rows.sort((a, b) => {
      const [x, y] = [a[key], b[key]];
      // What has no value comes last either way.
      if (x === null || y === null) return (x === null) - (y === null);
      const order = typeof x === "number" ? x - y : x < y ? -1 : x > y ? 1 : 0;
      return state.down ? -order : order;
    });
  };

  const body = document.querySelector("tbody");
  const rowOf = (run) => {
    const row = make("tr");
    for (const column of columns) {
      const cell = make("td", undefined, [column.kind, column.number ? "number" : ""].filter(Boolean).join(" "));
      cell.dataset.label = column.label;
      const box = make("div");
      column.fill(run, box);
      cell.append(box);
      row.append(cell);
    }
    return row;
  };

  const show = () => {
    const rows = wanted();
    body.replaceChildren(...rows.slice(0, state.shown).map(rowOf));
    byId("more").hidden = rows.length <= state.shown;
    const most = Math.min(state.shown, rows.length);
    byId("count").textContent = rows.length === 0 ? "No run matches"
      : `${most.toLocaleString("en")} of ${rows.length.toLocaleString("en")} runs shown`;
    document.querySelectorAll("thead th").forEach((head) => {
      const sorted = head.dataset.name === state.sort;
      head.setAttribute("aria-sort", sorted ? (state.down ? "descending" : "ascending") : "none");
    });
    byId("sort").value = `${state.sort} ${state.down ? "down" : "up"}`;
  };
  const change = (parts) => { Object.assign(state, parts); state.shown = PER_PAGE; show(); };

  for (const column of columns) {
    const head = make("th", undefined, column.number ? "number" : "");
    head.scope = "col";
    head.dataset.name = column.name;
    const button = make("button", column.label);
    button.type = "button";
    button.addEventListener("click", () => change(state.sort === column.name
      ? { down: !state.down }
      : { sort: column.name, down: Boolean(column.number) || column.name === "started" }));
    head.append(button);
    document.querySelector("thead tr").append(head);
    for (const [way, said] of [["down", "↓"], ["up", "↑"]]) {
      const option = make("option", `${column.label} ${said}`);
      option.value = `${column.name} ${way}`;
      byId("sort").append(option);
    }
  }

  const choices = (id, values, all) => {
    byId(id).append(make("option", all));
    byId(id).firstChild.value = "";
    for (const value of values) {
      const option = make("option", value);
      option.value = value;
      byId(id).append(option);
    }
    byId(id).addEventListener("change", (event) => change({ [id]: event.target.value }));
  };
  const distinct = (name) => [...new Set(runs.map((run) => run[name]).filter(Boolean))].sort();
  choices("mode", [...distinct("mode"), ...(runs.some((run) => run.kind === "sweep") ? ["sweep"] : [])], "all");
  choices("status", distinct("status"), "all");
  byId("sort").addEventListener("change", (event) => {
    const [sort, way] = event.target.value.split(" ");
    change({ sort, down: way === "down" });
  });
  byId("text").addEventListener("input", (event) => change({ text: event.target.value }));
  byId("members").addEventListener("change", (event) => change({ members: event.target.checked }));
  byId("members").closest("label").hidden = !runs.some((run) => run.kind === "member");
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("more").addEventListener("click", () => {
    const before = state.shown;
    state.shown += PER_PAGE;
    show();
    const next = body.children[before];
    if (next) { next.tabIndex = -1; next.focus(); }
  });

  // A page from a file may not be allowed to keep anything.
  const kept = (value) => {
    try {
      if (value) localStorage.setItem("kraken-flow-theme", value);
      return localStorage.getItem("kraken-flow-theme");
    } catch { return null; }
  };
  const theme = (name) => {
    document.documentElement.dataset.theme = name;
    const other = name === "dark" ? "light" : "dark";
    byId("theme").textContent = other === "dark" ? "Dark" : "Light";
    byId("theme").setAttribute("aria-label", `Change to ${other} colours`);
  };
  theme(kept() || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));
  byId("theme").addEventListener("click", () => {
    const name = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    theme(name);
    kept(name);
  });
  show();
})();
