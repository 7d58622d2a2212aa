
"use strict";
// Every text of the data is untrusted: it becomes text nodes and attributes, never markup.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const KINDS = ["approve", "reject", "pin", "reroll"];
  const PAST = { approve: "approved", reject: "rejected", pin: "pinned", reroll: "rejected", unpin: "undecided" };
  const MODES = ["after", "before", "beside", "slider", "difference"];
  const KEY = { a: "approve", r: "reject", p: "pin", e: "reroll" };
  const ICON = {
    approve: "M4 12.5l5 5L20 6.5", reject: "M6 6l12 12M18 6L6 18", unpin: "M5 5l14 14",
    pin: "M12 21v-6M7 4h10M9 4v6l-3 5h12l-3-5V4", reroll: "M20 12a8 8 0 1 1-2.4-5.7M20 3v5h-5",
  };
  const FIRST_ROWS = 10;

  // What this browser remembers; where it may keep nothing, the page works all the same.
  const memory = {
    works: true,
    read(name) {
      try { return JSON.parse(localStorage.getItem(`newbie-page:${name}`)); } catch { this.works = false; return null; }
    },
    write(name, value) {
      try { localStorage.setItem(`newbie-page:${name}`, JSON.stringify(value)); } catch { this.works = false; }
    },
  };
  const place = `${data.set}:${data.version}:${data.digest}`;
  const usual = memory.read("usual") ?? {};
  const narrow = matchMedia("(max-width: 40rem)").matches;
  const state = {
    lang: data.words[usual.lang] ? usual.lang : navigator.language.startsWith("zh") ? "zh" : "en",
    theme: ["light", "dark"].includes(usual.theme) ? usual.theme : "auto",
    by: typeof usual.by === "string" ? usual.by : "",
    view: data.isMatrix && !narrow ? "matrix" : "grid",
    changed: false, decision: "any", character: "", search: "", mode: "after", at: 50,
    current: null, isMarked: false, visible: [],
  };
  const byId = new Map(data.pictures.map((picture) => [picture.id, picture]));
  const drafts = readDrafts();
  const tiles = new Map();
  let waiting = [];

  function readDrafts() {
    const kept = memory.read(place), found = new Map();
    for (const [id, draft] of Array.isArray(kept) ? kept : []) {
      const picture = byId.get(id);
      const isTaken = picture?.history?.some((one) => one.at === draft.at && one.decision === draft.decision);
      if (picture && draft && !isTaken && draft.pixels === picture.pixels && draft.decision in PAST) found.set(id, draft);
    }
    return found;
  }

  // Words and elements

  function t(key, values = {}) {
    const text = data.words[state.lang][key] ?? key;
    return text.replace(/\{(\w+)\}/g, (all, name) => String(values[name] ?? all));
  }

  function h(name, props = {}, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(props)) {
      if (value === undefined || value === null || value === false) continue;
      if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else if (key in element && typeof value === "boolean") element[key] = value;
      else element.setAttribute(key, value === true ? "" : String(value));
    }
    element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
    return element;
  }

  function icon(kind) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    path.setAttribute("d", ICON[kind]);
    svg.append(path);
    return svg;
  }

  const button = (kind, text, onclick, props = {}) => h("button", { type: "button", class: kind, onclick, ...props }, text);
  const say = (text) => { $("said").textContent = text; };
  const when = (text) => {
    const date = new Date(text);
    return Number.isNaN(date.valueOf()) ? text
      : new Intl.DateTimeFormat(state.lang, { dateStyle: "medium", timeStyle: "short" }).format(date);
  };
  const nameOf = (row) => data.names[row] || row;
  const decisionOf = (picture) => drafts.get(picture.id)?.decision ?? picture.standing ?? "";
  const statusOf = (picture) => PAST[decisionOf(picture)] ?? "undecided";

  // Filters

  const tests = {
    changed: (p) => !state.changed ? p.state !== "removed" : p.state === "new" || p.state === "changed" || p.state === "removed",
    decision: (p) => state.decision === "any" || (Boolean(p.pixels) && statusOf(p) === state.decision),
    character: (p) => !state.character || p.row === state.character,
    search: (p) => !state.search || `${p.id} ${nameOf(p.row)}`.toLowerCase().includes(state.search),
  };
  const fits = (picture, without) => Object.entries(tests).every(([name, test]) => name === without || test(picture));

  function showFilters() {
    const count = (test, without) => data.pictures.filter((p) => fits(p, without) && test(p)).length;
    const isChange = (p) => p.state === "new" || p.state === "changed" || p.state === "removed";
    segmented("filter-state", [
      ["all", !state.changed, count((p) => p.state !== "removed", "changed"), () => { state.changed = false; }],
      ["changed", state.changed, count(isChange, "changed"), () => { state.changed = true; }],
    ]);
    segmented("filter-decision", ["any", "undecided", "approved", "rejected", "pinned"].map((name) => [
      name === "any" ? "anyDecision" : name, state.decision === name,
      name === "any" ? null : count((p) => p.pixels && statusOf(p) === name, "decision"),
      () => { state.decision = name; },
    ]));
    segmented("view", ["matrix", "grid"].map((name) => [name, state.view === name, null, () => { state.view = name; }]));
    $("view").hidden = !data.isMatrix;
    $("basket-count").textContent = String(drafts.size);
  }

  function segmented(id, choices) {
    const had = [...$(id).children].indexOf(document.activeElement);
    $(id).replaceChildren(...choices.map(([key, on, count, choose]) =>
      h("button", { type: "button", "aria-pressed": on ? "true" : "false", "data-choice": key, onclick() { choose(); showAll(); } },
        t(key), count === null ? null : h("small", {}, ` ${count}`))));
    if (had >= 0) $(id).children[had]?.focus();
  }

  // The board

  function showAll() {
    showFilters();
    state.visible = data.pictures.filter((picture) => fits(picture));
    tiles.clear();
    waiting = [];
    $("notes").replaceChildren(...data.notes.map((note) => h("p", {}, note)));
    const rows = [...Map.groupBy(state.visible, (picture) => picture.row)];
    state.visible = rows.flatMap(([, pictures]) => pictures);
    if (!state.visible.includes(state.current)) state.current = state.visible[0] ?? null;
    if (!rows.length) {
      const reset = button("plain", t("showAll"), () => {
        Object.assign(state, { changed: false, decision: "any", character: "", search: "" });
        $("character").value = $("search").value = "";
        showAll();
      });
      $("board").replaceChildren(h("div", { class: "empty" }, h("p", {}, t("empty")), reset));
    } else if (state.view === "matrix" && data.isMatrix) showMatrix(rows);
    else showGrid(rows);
    say(t("saidShown", { count: state.visible.length }));
  }

  function showMatrix(rows) {
    const filled = new Set(state.visible.map((picture) => picture.column));
    const columns = data.columns.filter((column) => filled.has(column));
    const heads = h("div", { class: "line", role: "row" }, h("span", { role: "columnheader" }, h("span", { class: "unseen" }, t("character"))),
      ...columns.map((column) => h("span", { role: "columnheader" }, column)));
    const body = h("div", { role: "rowgroup" });
    const table = h("div", { class: "matrix", role: "table", "aria-label": t("pictures") }, h("div", { role: "rowgroup", class: "heads" }, heads), body);
    table.style.setProperty("--columns", columns.length);
    $("board").replaceChildren(table);
    grow(body, rows, ([row, pictures]) => {
      const at = new Map(pictures.map((picture) => [picture.column, picture]));
      return h("div", { class: "line row", role: "row" }, h("div", { class: "side", role: "rowheader" }, h("b", {}, nameOf(row)), data.names[row] && data.names[row] !== row ? h("span", {}, row) : null),
        ...columns.map((column) => h("div", { class: "place", role: "cell" }, at.has(column) ? tile(at.get(column)) : null)));
    });
  }

  function showGrid(rows) {
    const board = h("div");
    $("board").replaceChildren(board);
    grow(board, data.isMatrix ? rows : [["", state.visible]], ([row, pictures]) =>
      h("section", { class: "group" }, row === "" ? null : h("h2", {}, nameOf(row), data.names[row] && data.names[row] !== row ? h("small", {}, row) : null),
        h("div", { class: "flow" }, ...pictures.map((picture) => tile(picture, row === "" ? picture.id : picture.column)))));
  }

  // The first rows at once, the others when nobody is waiting.
  function grow(into, rows, make) {
    const mine = rows.slice(FIRST_ROWS);
    waiting = mine;
    into.append(...rows.slice(0, FIRST_ROWS).map(make));
    waiting.finish = (limit = Infinity) => {
      for (let done = 0; mine.length && done < limit; done += 1) into.append(make(mine.shift()));
    };
    const later = window.requestIdleCallback ?? ((call) => setTimeout(call, 16));
    const more = () => { if (waiting === mine && mine.length) { mine.finish(6); later(more); } };
    later(more);
  }

  function tile(picture, caption) {
    const element = h("button", { type: "button", class: "tile", tabindex: picture === state.current ? "0" : "-1", onclick() { go(picture); openViewer(); } });
    if (caption !== undefined) element.dataset.caption = caption;
    tiles.set(picture.id, element);
    fillTile(picture, element);
    return element;
  }

  function fillTile(picture, element) {
    const look = picture.pixels ? picture : picture.before;
    const decision = decisionOf(picture), isDraft = drafts.has(picture.id);
    const label = picture.state === "changed" ? "state_changed" : picture.held !== undefined ? "held" : picture.state;
    const words = [picture.id, label ? t(label) : "", decision ? t(decision) : ""].filter(Boolean).join(", ");
    const frame = h("span", { class: "frame" });
    frame.style.setProperty("aspect-ratio", `${look?.width ?? 2} / ${look?.height ?? 3}`);
    frame.append(look?.thumb ? h("img", { src: look.thumb, alt: "", loading: "lazy", decoding: "async", draggable: "false" })
      : h("span", { class: "gone" }, t(picture.pixels ? "damaged" : "failed")));
    if (label) frame.append(h("span", { class: `tag ${picture.state}` }, t(label)));
    if (decision) frame.append(h("span", { class: `mark ${decision}${isDraft ? " draft" : ""}` }, icon(decision), t(PAST[decision])));
    element.className = `tile is-${picture.state || "same"}${look?.thumb ? "" : " missing"}`;
    element.setAttribute("aria-label", words);
    element.setAttribute("aria-current", picture === state.current && state.isMarked ? "true" : "false");
    element.replaceChildren(frame, ...(element.dataset.caption ? [h("span", { class: "caption" }, element.dataset.caption)] : []));
  }

  function go(picture, focus = true) {
    if (!picture) return;
    const before = state.current && tiles.get(state.current.id);
    before?.setAttribute("tabindex", "-1");
    before?.setAttribute("aria-current", "false");
    state.current = picture;
    state.isMarked = true;
    if (!tiles.has(picture.id)) waiting.finish?.();
    const element = tiles.get(picture.id);
    element?.setAttribute("tabindex", "0");
    element?.setAttribute("aria-current", "true");
    element?.scrollIntoView({ block: "nearest", inline: "nearest" });
    if (focus && !$("viewer").open) element?.focus({ preventScroll: true });
  }

  function step(by) {
    const at = state.visible.indexOf(state.current);
    const isMarked = $("viewer").open || document.activeElement?.classList.contains("tile");
    go(state.visible[Math.max(0, Math.min(state.visible.length - 1, isMarked ? at + by : at))]);
    if ($("viewer").open) showViewer();
  }

  // Decisions

  function decide(picture, decision) {
    if (!picture?.pixels || (decision === "pin" && data.isProposal)) return;
    const before = drafts.get(picture.id);
    if (before?.decision === decision) return undo(picture);
    const fresh = { decision, at: new Date().toISOString(), pixels: picture.pixels, note: before?.note ?? "" };
    if (decision === "reroll") fresh.count = before?.count ?? 4;
    drafts.set(picture.id, fresh);
    keep(picture);
    say(t("saidDecision", { id: picture.id, decision: t(decision) }));
  }

  function undo(picture) {
    if (!picture || !drafts.delete(picture.id)) return;
    keep(picture);
    say(t("saidUndone", { id: picture.id }));
  }

  function keep(picture) {
    memory.write(place, [...drafts]);
    showFilters();
    if (tiles.has(picture.id)) fillTile(picture, tiles.get(picture.id));
    if ($("viewer").open && state.current === picture) showViewer();
  }

  // Python calls printable what is no control character and no odd space; a decision's text holds only those.
  const plain = (text) => text.replace(/[^\S\n\t ]|\p{Z}/gu, " ").replace(/(?![\n\t])\p{C}/gu, "").trim();

  function requests() {
    const by = plain(state.by);
    const rows = [...drafts].map(([id, draft]) => {
      const picture = byId.get(id);
      const row = { id, version: data.version, decision: draft.decision, key: picture.key, pixels: picture.pixels, at: draft.at };
      if (plain(draft.note)) row.note = plain(draft.note);
      if (by) row.by = by;
      if (draft.count) row.count = draft.count;
      return row;
    });
    return JSON.stringify({ set: data.set, decisions: rows }, null, 1);
  }

  function download(told) {
    const file = `${data.set}-${data.version}-decisions.json`.replace(/[^\p{L}\p{N}._-]/gu, "_");
    const link = h("a", { href: URL.createObjectURL(new Blob([requests()], { type: "application/json" })), download: file });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    told.replaceChildren(h("p", {}, t("downloaded", { file })), h("code", { class: "command" }, `newbie decide ${quoted(data.set)} --file ${quoted(file)}`));
  }

  const quoted = (text) => (/^[\w.\/-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

  async function send(told) {
    try {
      const answer = await fetch(data.post, { method: "POST", headers: { "Content-Type": "application/json" }, body: requests() });
      if (!answer.ok) throw new Error(String(answer.status));
      const sent = [...drafts];
      drafts.clear();
      for (const [id, draft] of sent) {
        const picture = byId.get(id);
        picture.standing = draft.decision === "unpin" ? "" : draft.decision;
        keep(picture);
      }
      showBasket();
      $("basket-told").replaceChildren(h("p", {}, t("sent", { count: sent.length })));
    } catch (error) {
      told.replaceChildren(h("p", {}, t("notSent", { why: error.message })));
    }
  }

  function showBasket() {
    const told = h("div", { id: "basket-told", role: "status" });
    const isServed = Boolean(data.post) && location.protocol.startsWith("http");
    const rows = [...drafts].map(([id, draft]) => {
      const picture = byId.get(id);
      return h("li", { class: draft.decision }, picture.thumb ? h("img", { src: picture.thumb, alt: "" }) : h("span"),
        h("div", {}, h("b", {}, t(draft.decision)), ` ${id}`, draft.note ? h("p", {}, draft.note) : null),
        button("quiet", t("undo"), () => { undo(picture); showBasket(); }, { "aria-label": `${t("undo")}: ${id}` }));
    });
    const name = h("input", { value: state.by, maxlength: 200, autocomplete: "name", oninput() { state.by = this.value; remember(); } });
    const discard = button("quiet", t("discard"), () => {
      if (!discard.dataset.sure) { discard.dataset.sure = "1"; discard.textContent = t("discardSure"); return; }
      const gone = [...drafts.keys()];
      drafts.clear();
      gone.forEach((id) => keep(byId.get(id)));
      showBasket();
    });
    $("basket").className = "sheet";
    $("basket").replaceChildren(
      h("div", { class: "bar" }, h("h2", { id: "basket-title" }, t("basketTitle")), button("quiet", t("close"), () => $("basket").close())),
      rows.length ? h("ul", { class: "drafts", tabindex: "0", "aria-label": t("decisions") }, ...rows) : h("p", { class: "hint" }, t("basketEmpty")),
      ...(rows.length ? [
        h("label", {}, t("yourName"), name),
        h("div", { class: "ends" }, button("primary", t("download"), () => download(told), { id: "download" }),
          isServed ? button("plain", t("send"), () => send(told), { id: "send" }) : null, discard),
        h("p", { class: "hint" }, t(memory.works ? "kept" : "notKept")),
      ] : []), told);
    if (!$("basket").open) $("basket").showModal();
  }

  // One picture

  function openViewer() {
    if (!state.current) return;
    showViewer();
    if (!$("viewer").open) $("viewer").showModal();
    $("viewer").querySelector(".bar button:last-child").focus();
  }

  function showViewer() {
    const picture = state.current, viewer = $("viewer");
    const focused = document.activeElement?.dataset?.focus, note = viewer.querySelector("textarea");
    const selection = focused === "note" ? [note.selectionStart, note.selectionEnd] : null;
    const scrolled = viewer.dataset.id === picture.id ? viewer.querySelector(".panel")?.scrollTop ?? 0 : 0;
    const at = state.visible.indexOf(picture) + 1;
    viewer.dataset.id = picture.id;
    viewer.replaceChildren(
      h("div", { class: "bar" }, h("h2", { id: "viewer-id" }, picture.id), h("p", {}, t("position", { at, count: state.visible.length })),
        button("quiet", "‹", () => step(-1), { "aria-label": t("previous"), "data-focus": "previous", disabled: at <= 1 }),
        button("quiet", "›", () => step(1), { "aria-label": t("next"), "data-focus": "next", disabled: at >= state.visible.length }),
        button("quiet", t("close"), () => viewer.close(), { "data-focus": "close" })),
      stage(picture), modes(picture),
      h("div", { class: "panel", tabindex: "0", role: "region", "aria-labelledby": "viewer-id" }, why(picture), picture.pixels ? actions(picture) : null, past(picture), details(picture), prompt(picture)));
    viewer.querySelector(".panel").scrollTop = scrolled;
    const again = focused && viewer.querySelector(`[data-focus="${focused}"]`);
    (again && !again.disabled ? again : viewer.querySelector('[data-focus="close"]')).focus({ preventScroll: true });
    if (selection) viewer.querySelector("textarea").setSelectionRange(...selection);
  }

  const canCompare = (picture) => Boolean(picture.thumb && picture.before?.thumb);
  const full = (look, className, alt) => look?.thumb ? h("img", { src: look.file, class: className, alt, decoding: "async" })
    : h("p", { class: "gone" }, t(look ? "damaged" : "failed"));

  function stage(picture) {
    const mode = canCompare(picture) ? state.mode : picture.pixels ? "after" : "before";
    const now = () => full(picture.pixels ? picture : null, "now", `${picture.id}: ${t("after")}`);
    const was = () => full(picture.before, "was", `${picture.id}: ${t("before")}`);
    const caption = (key, side) => (canCompare(picture) ? h("figcaption", { class: side }, t(key)) : null);
    if (mode === "beside") return h("div", { class: "stage" }, fitted(picture.before, "", was(), caption("before")), fitted(picture, "", now(), caption("after")));
    if (mode === "slider") return h("div", { class: "stage" }, fitted(picture, "sliding", now(), was(), slider(), caption("before"), caption("after", "right")));
    if (mode === "difference") return h("div", { class: "stage" }, fitted(picture, "differing", was(), now()));
    if (mode === "before") return h("div", { class: "stage" }, fitted(picture.before, "", was(), caption("before")));
    return h("div", { class: "stage" }, fitted(picture, "", now(), caption("after")));
  }

  // As large as the stage allows, in the picture's own shape.
  function fitted(look, kind, ...children) {
    const box = h("div", { class: `fit ${kind}` }, ...children);
    box.style.setProperty("--ratio", String((look?.width ?? 2) / (look?.height ?? 3)));
    if (kind === "sliding") box.style.setProperty("--at", `${state.at}%`);
    return h("figure", {}, box);
  }

  function slider() {
    return h("input", { type: "range", min: 0, max: 100, step: 0.5, value: state.at, "aria-label": t("sliderLabel"), "data-focus": "slider",
      oninput() { state.at = Number(this.value); this.parentElement.style.setProperty("--at", `${this.value}%`); } });
  }

  function modes(picture) {
    const look = picture.pixels ? (state.mode === "before" && picture.before ? picture.before : picture) : picture.before;
    const choices = canCompare(picture) ? h("div", { class: "segmented", role: "group", "aria-label": t("compare") }, ...MODES.map((mode) =>
      h("button", { type: "button", "aria-pressed": state.mode === mode ? "true" : "false", "data-mode": mode, "data-focus": mode, onclick() { state.mode = mode; showViewer(); } }, t(mode)))) : null;
    const same = canCompare(picture) && picture.pixels === picture.before.pixels ? h("span", { class: "hint" }, t("same")) : null;
    return h("div", { class: "modes" }, choices, same, look?.thumb ? h("a", { href: look.file, target: "_blank", rel: "noopener" }, t("original")) : null);
  }

  function why(picture) {
    const causes = (picture.causes ?? []).map((at) => data.causes[at]);
    const shown = (text) => (text ? text : t("nothing"));
    const items = causes.map(([kind, where, from, to]) => h("li", {}, h("span", { class: "kind" }, t(`cause_${kind}`)), h("code", {}, where),
      from === null && to === null ? null : h("div", {}, h("del", {}, shown(from)), " → ", h("ins", {}, shown(to)))));
    if (!items.length && picture.state === "changed") items.push(h("li", {}, t("nobodyKnows", { parts: picture.parts.join(", ") })));
    if (!items.length && picture.state === "new") items.push(h("li", {}, t("newWhy")));
    if (picture.held !== undefined) items.push(h("li", {}, t("heldWhy", { why: picture.held })));
    if (picture.problem) items.push(h("li", {}, picture.problem));
    if (!items.length) return null;
    return h("section", {}, h("h3", {}, t("why")), h("ul", { class: "causes" }, ...items));
  }

  function actions(picture) {
    const draft = drafts.get(picture.id), isPinned = picture.standing === "pin";
    const letters = Object.fromEntries(Object.entries(KEY).map(([letter, kind]) => [kind, letter]));
    const buttons = KINDS.map((kind) => {
      const does = kind === "pin" && isPinned ? "unpin" : kind;
      return h("button", { type: "button", class: `act ${does}`, "data-kind": does, "data-focus": does, "aria-pressed": (draft?.decision ?? "") === does ? "true" : "false",
        disabled: kind === "pin" && data.isProposal, title: kind === "pin" && data.isProposal ? t("noPin") : undefined, onclick() { decide(picture, does); } },
      icon(does), t(does), h("kbd", { "aria-hidden": "true" }, letters[kind]));
    });
    const note = h("textarea", { "aria-label": t("note"), placeholder: t("notePlaceholder"), maxlength: 2000, "data-focus": "note", disabled: !draft,
      oninput() { draft.note = this.value; memory.write(place, [...drafts]); } });
    note.value = draft?.note ?? "";
    const count = draft?.decision === "reroll" ? h("label", {}, `${t("count")} `, h("input", { type: "number", min: 1, max: 64, value: draft.count, "data-focus": "count",
      onchange() { draft.count = Math.max(1, Math.min(64, Math.round(Number(this.value)) || 4)); this.value = draft.count; memory.write(place, [...drafts]); } })) : null;
    return h("section", {}, h("h3", {}, t("decide")), h("div", { class: "acts" }, ...buttons), draft ? note : null,
      draft ? h("div", { class: "drafted" }, t("draft"), count, button("plain", t("undo"), () => undo(picture), { "data-focus": "undo" })) : null);
  }

  function past(picture) {
    if (!picture.history?.length) return null;
    return h("section", {}, h("h3", {}, t("history")), h("ul", { class: "past" }, ...picture.history.toReversed().map((one) =>
      h("li", { class: one.decision }, h("b", {}, t(one.decision)), h("span", {}, " · ", t("by", { by: one.by, at: when(one.at), version: one.version }),
        one.pixels === picture.pixels ? null : ` (${t("otherPixels")})`), one.note ? h("q", {}, one.note) : null))));
  }

  function details(picture) {
    const look = picture.pixels ? picture : picture.before;
    if (!look) return null;
    const recipe = data.recipes[look.recipe] ?? {};
    const rows = [["seed", look.seed], ["size", `${look.width} × ${look.height}`], ["steps", recipe.steps], ["guidance", recipe.guidance],
      ["negative", recipe.negative], ["key", look.key, true], ["pixels", look.pixels, true]].filter(([, value]) => value !== undefined && value !== "");
    return h("section", {}, h("h3", {}, t("details")), h("dl", { class: "table" }, ...rows.flatMap(([name, value, isCode]) =>
      [h("dt", {}, t(name)), h("dd", {}, isCode ? h("code", {}, value) : String(value))])));
  }

  function prompt(picture) {
    const look = picture.thumb ? picture : picture.before;
    const text = data.prompts[look?.prompt] ?? "";
    if (!text) return null;
    const old = canCompare(picture) ? data.prompts[picture.before.prompt] : text;
    const body = h("pre", { class: "prompt", tabindex: "0", role: "region", "aria-label": t("prompt") });
    body.append(...(old === text ? [text] : changes(words(old), words(text))));
    return h("section", {}, h("h3", {}, t(old === text ? "prompt" : "promptChanged")), body);
  }

  const words = (text) => text.match(/<[^>]*>|[^\s,<]+|[\s,]+|</g) ?? [];

  // The longest common subsequence of words; what only one side has is deleted or inserted.
  function changes(old, now) {
    let start = 0;
    while (start < old.length && start < now.length && old[start] === now[start]) start += 1;
    let end = 0;
    while (end < old.length - start && end < now.length - start && old.at(-1 - end) === now.at(-1 - end)) end += 1;
    const a = old.slice(start, old.length - end), b = now.slice(start, now.length - end);
    const made = [old.slice(0, start).join("")];
    if (a.length * b.length > 4e6) made.push(h("del", {}, a.join("")), h("ins", {}, b.join("")));
    else made.push(...aligned(a, b));
    return [...made, end ? old.slice(-end).join("") : ""];
  }

  function aligned(a, b) {
    const best = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
    for (let i = a.length - 1; i >= 0; i -= 1)
      for (let j = b.length - 1; j >= 0; j -= 1)
        best[i][j] = a[i] === b[j] ? best[i + 1][j + 1] + 1 : Math.max(best[i + 1][j], best[i][j + 1]);
    const made = [];
    for (let i = 0, j = 0; i < a.length || j < b.length;) {
      if (i < a.length && j < b.length && a[i] === b[j]) { made.push(a[i]); i += 1; j += 1; }
      else if (j >= b.length || (i < a.length && best[i + 1][j] >= best[i][j + 1])) made.push(h("del", {}, a[i++]));
      else made.push(h("ins", {}, b[j++]));
    }
    return made;
  }

  // The page around it

  function remember() { memory.write("usual", { lang: state.lang, theme: state.theme, by: state.by }); }

  function showFrame() {
    const root = document.documentElement;
    root.lang = state.lang === "zh" ? "zh-CN" : "en";
    if (state.theme === "auto") delete root.dataset.theme;
    else root.dataset.theme = state.theme;
    for (const element of document.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
    for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", t(element.dataset.label));
    for (const element of document.querySelectorAll("[data-placeholder]")) element.setAttribute("placeholder", t(element.dataset.placeholder));
    $("language").textContent = t("language");
    $("language").lang = state.lang === "zh" ? "en" : "zh-CN";
    $("language").setAttribute("aria-label", t("languageLabel"));
    $("theme").textContent = "◐ " + t(`theme${state.theme[0].toUpperCase()}${state.theme.slice(1)}`);
    $("theme").setAttribute("aria-label", `${t("theme")}: ${$("theme").textContent.slice(2)}`);
    $("help").textContent = t("help");
    const count = data.pictures.filter((picture) => picture.pixels).length;
    const changed = data.pictures.filter((picture) => picture.state && picture.state !== "failed").length;
    $("facts").textContent = [
      t("facts", { version: data.isProposal ? t("proposal") : data.version, count }),
      data.parent ? t("factsChanged", { changed, parent: data.parent }) : t("factsFirst"),
      data.made ? t("factsMade", { made: when(data.made) }) : "", data.engine,
    ].filter(Boolean).join(" · ");
    const rows = [...new Set(data.pictures.map((picture) => picture.row))];
    $("character").replaceChildren(h("option", { value: "" }, t("allCharacters")),
      ...rows.map((row) => h("option", { value: row }, nameOf(row) === row ? row : `${nameOf(row)} (${row})`)));
    $("character").value = state.character;
    showAll();
  }

  function showKeys() {
    const rows = [[["j", "k"], "keyMove"], [["↵", "Esc"], "keyOpen"], [["a", "r", "p", "e"], "keyDecide"], [["n"], "keyNote"], [["u"], "keyUndo"],
      [["c"], "keyCompare"], [["/"], "keyFind"], [["?"], "keyHelp"]];
    $("keys").className = "sheet";
    $("keys").replaceChildren(h("div", { class: "bar" }, h("h2", { id: "keys-title" }, t("keysTitle")), button("quiet", t("close"), () => $("keys").close())),
      h("dl", {}, ...rows.flatMap(([letters, words]) => [h("dt", {}, ...letters.map((letter) => h("kbd", {}, letter))), h("dd", {}, t(words))])));
    $("keys").showModal();
  }

  function pressed(event) {
    const target = event.target, isViewing = $("viewer").open;
    if (event.ctrlKey || event.metaKey || event.altKey || $("basket").open || $("keys").open) return;
    if (target.matches?.("textarea, select, input")) {
      if (target.type !== "range" || event.key.startsWith("Arrow")) return;
    }
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const isOnTile = target.classList?.contains("tile");
    if (key === "j" || ((isViewing || isOnTile) && key === "ArrowRight")) step(1);
    else if (key === "k" || ((isViewing || isOnTile) && key === "ArrowLeft")) step(-1);
    else if (KEY[key]) decide(state.current, key === "p" && state.current?.standing === "pin" ? "unpin" : KEY[key]);
    else if (key === "u") undo(state.current);
    else if (key === "n") { openViewer(); $("viewer").querySelector("textarea")?.focus(); }
    else if (key === "c" && isViewing) { state.mode = MODES[(MODES.indexOf(state.mode) + 1) % MODES.length]; showViewer(); }
    else if (key === "/" && !isViewing) $("search").focus();
    else if (key === "?") showKeys();
    else return;
    event.preventDefault();
  }

  const themes = ["auto", "light", "dark"];
  $("language").addEventListener("click", () => { state.lang = state.lang === "zh" ? "en" : "zh"; remember(); showFrame(); });
  $("theme").addEventListener("click", () => { state.theme = themes[(themes.indexOf(state.theme) + 1) % 3]; remember(); showFrame(); });
  $("help").addEventListener("click", showKeys);
  $("open-basket").addEventListener("click", showBasket);
  $("character").addEventListener("change", (event) => { state.character = event.target.value; showAll(); });
  $("search").addEventListener("input", (event) => { state.search = event.target.value.trim().toLowerCase(); showAll(); });
  $("viewer").addEventListener("close", () => {
    $("viewer").replaceChildren();
    if (!fits(state.current)) showAll();
    go(state.current);
  });
  document.addEventListener("keydown", pressed);
  state.current = data.pictures.find((picture) => picture.pixels) ?? null;
  showFrame();
})();
