// What changed in a prompt, word by word.

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
