// The board: pictures as a matrix or a grid, and the filters above it.

// Filters

const isChange = (p) => p.state === "new" || p.state === "changed" || p.state === "removed";
const SHOWN = { all: (p) => p.state !== "removed", changed: isChange, candidates: (p) => Boolean(p.candidates) };
const tests = {
  show: (p) => SHOWN[state.show](p),
  decision: (p) => state.decision === "any" || (Boolean(p.pixels) && statusOf(p) === state.decision),
  character: (p) => !state.character || p.row === state.character,
  search: (p) => !state.search || `${p.id} ${nameOf(p.row)}`.toLowerCase().includes(state.search),
};
const fits = (picture, without) => Object.entries(tests).every(([name, test]) => name === without || test(picture));

function showFilters() {
  const count = (test, without) => data.pictures.filter((p) => fits(p, without) && test(p)).length;
  const kinds = Object.keys(SHOWN).filter((name) => name !== "candidates" || data.pictures.some(SHOWN.candidates));
  segmented("filter-state", kinds.map((name) => [name, state.show === name, count(SHOWN[name], "show"), () => { state.show = name; }]));
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
      Object.assign(state, { show: "all", decision: "any", character: "", search: "" });
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
  const many = picture.candidates ? t("candidateCount", { count: picture.candidates.length }) : "";
  const words = [picture.id, label ? t(label) : "", many, decision ? t(decision) : ""].filter(Boolean).join(", ");
  const frame = h("span", { class: "frame" });
  frame.style.setProperty("aspect-ratio", `${look?.width ?? 2} / ${look?.height ?? 3}`);
  frame.append(look?.thumb ? h("img", { src: look.thumb, alt: "", loading: "lazy", decoding: "async", draggable: "false" })
    : h("span", { class: "gone" }, t(picture.pixels ? "damaged" : "failed")));
  if (label) frame.append(h("span", { class: `tag ${picture.state}` }, t(label)));
  if (many) frame.append(h("span", { class: "tag many" }, many));
  if (decision) frame.append(h("span", { class: `mark ${decision}${isDraft ? " draft" : ""}` }, icon(decision), t(LABEL[decision])));
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
