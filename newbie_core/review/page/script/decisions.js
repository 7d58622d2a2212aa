// Decisions: made on this page, kept in this browser, handed over as a file.

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

const told = (draft) => (draft.decision === "choose" ? t("chose", { number: draft.candidate }) : t(draft.decision));

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
    const { key, pixels } = draft.decision === "choose" ? chosen(picture, draft) : picture;
    const row = { id, version: data.version, decision: draft.decision, key, pixels, at: draft.at };
    if (draft.decision === "choose") row.candidate = draft.candidate;
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
  const answer = h("div", { id: "basket-told", role: "status" });
  const isServed = Boolean(data.post) && location.protocol.startsWith("http");
  const rows = [...drafts].map(([id, draft]) => {
    const picture = byId.get(id);
    const look = draft.decision === "choose" ? chosen(picture, draft) : picture;
    return h("li", { class: draft.decision }, look.thumb ? h("img", { src: look.thumb, alt: "" }) : h("span"),
      h("div", {}, h("b", {}, told(draft)), ` ${id}`, draft.note ? h("p", {}, draft.note) : null),
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
      h("div", { class: "ends" }, button("primary", t("download"), () => download(answer), { id: "download" }),
        isServed ? button("plain", t("send"), () => send(answer), { id: "send" }) : null, discard),
      h("p", { class: "hint" }, t(memory.works ? "kept" : "notKept")),
    ] : []), answer);
  if (!$("basket").open) $("basket").showModal();
}
