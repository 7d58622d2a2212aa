// The candidates of a reroll, side by side with the picture that counts; one of them can be chosen.

function chosen(picture, draft) {
  return picture.candidates?.find((one) => one.number === draft.candidate && one.pixels === draft.chosen);
}

function choose(picture, candidate) {
  const before = drafts.get(picture.id);
  if (before?.decision === "choose" && before.candidate === candidate.number) return undo(picture);
  drafts.set(picture.id, { decision: "choose", candidate: candidate.number, chosen: candidate.pixels, pixels: picture.pixels,
    at: new Date().toISOString(), note: before?.note ?? "" });
  keep(picture);
  say(`${picture.id}: ${t("chose", { number: candidate.number })}`);
}

const chooseNumber = (picture, number) => {
  const candidate = picture?.candidates?.find((one) => one.number === number);
  if (candidate) choose(picture, candidate);
};

function sideBySide(picture) {
  const isAmong = picture.candidates.some((one) => one.pixels === picture.pixels);
  return h("div", { class: "stage many", tabindex: "0", role: "region", "aria-label": t("candidates") },
    isAmong ? null : h("figure", { class: "candidate" }, h("div", { class: "shown" }, full(picture, "", `${picture.id}: ${t("countsNow")}`)),
      h("figcaption", {}, h("b", {}, t("countsNow")), h("span", {}, `${t("seed")} ${picture.seed}`))),
    ...picture.candidates.map((one) => choice(picture, one)));
}

function choice(picture, candidate) {
  const draft = drafts.get(picture.id), name = t("candidate", { number: candidate.number });
  const isChosen = Boolean(draft?.decision === "choose" && chosen(picture, draft) === candidate);
  return h("figure", { class: "candidate" },
    h("button", { type: "button", class: "shown", "aria-pressed": isChosen ? "true" : "false", "aria-label": `${t("choose")}: ${name}, ${t("seed")} ${candidate.seed}`,
      "data-candidate": candidate.number, "data-focus": `candidate-${candidate.number}`, onclick() { choose(picture, candidate); } },
    full(candidate, "", "")),
    h("figcaption", {}, h("b", {}, name, candidate.number < 10 ? h("kbd", { "aria-hidden": "true" }, String(candidate.number)) : null),
      h("span", {}, `${t("seed")} ${candidate.seed}`),
      candidate.pixels === picture.pixels ? h("span", { class: "now" }, t("countsNow")) : null,
      isChosen ? h("span", { class: "picked" }, icon("choose"), t("chosen")) : null));
}
