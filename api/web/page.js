"use strict";

// The page asks again after so many milliseconds.
const interval = 2000;
const tokenKey = "blockmill-token";

const at = (id) => document.getElementById(id);

// el makes an element; strings among its children become text, never HTML.
function el(tag, attributes, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== undefined && value !== "") e.setAttribute(name, value);
  }
  e.append(...children.filter((c) => c !== undefined && c !== ""));
  return e;
}

function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let i = 0;
  for (; n >= 1000 && i < units.length - 1; i++) n /= 1024;
  return (i === 0 || n >= 100 ? Math.round(n) : n.toPrecision(3)) + " " + units[i];
}

function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 90) return s + " s";
  if (s < 5400) return Math.round(s / 60) + " min";
  if (s < 172800) return Math.round(s / 3600) + " h";
  return Math.round(s / 86400) + " days";
}

const ago = (time, now) => span((Date.parse(now) - Date.parse(time)) / 1000) + " ago";
const count = (n, one, many) => n.toLocaleString("en") + " " + (n === 1 ? one : many);
const percent = (part, whole) => (whole > 0 ? Math.min(100, (100 * part) / whole) : 0);

// bar is a track with parts, each a share of 100 and a class. Widths are set
// by property: the page's policy has no inline style.
function bar(label, ...parts) {
  const b = el("div", { class: "bar", role: "img", "aria-label": label });
  for (const [width, kind] of parts) {
    const part = el("i", { class: kind });
    part.style.width = Math.max(width, width > 0 ? 0.4 : 0) + "%";
    b.append(part);
  }
  return b;
}

const pill = (text, kind) => el("span", { class: "pill " + kind }, text);

function showNode(s) {
  const node = s.node;
  at("name").textContent = node.name || "Blockmill";
  document.title = (node.name ? node.name + " · " : "") + "Blockmill";
  at("about").textContent = [
    "Blockmill " + node.version,
    "up " + span((Date.parse(node.now) - Date.parse(node.started_at)) / 1000),
    s.disks.count ? count(s.disks.count, "disk", "disks") + " in use" : "",
  ].filter(Boolean).join(" · ");
  at("warnings").replaceChildren(...node.warnings.map((w) => el("p", { class: "warning" }, w)));
}

function health(s) {
  const r = s.redundancy;
  const lost = r.shards.filter((d) => !d.ok).length;
  if (r.survives < 0) return ["data cannot be read", "bad"];
  if (lost > 0) return [count(lost, "shard", "shards") + " not well", "bad"];
  return ["healthy", "good"];
}

function setHealth([text, kind]) {
  at("health").textContent = text;
  at("health").className = "pill " + kind;
}

function showSavings(v) {
  const line = at("savings-line");
  if (v.virtual_bytes === 0) {
    line.textContent = "Nothing is stored yet.";
    at("savings").replaceChildren();
    return;
  }
  const times = v.stored_bytes > 0 ? v.virtual_bytes / v.stored_bytes : 0;
  line.replaceChildren(
    el("b", {}, bytes(v.virtual_bytes)), " of disks take ", el("b", {}, bytes(v.stored_bytes)),
    times >= 1 ? ": " + times.toFixed(times >= 10 ? 0 : 1) + " times less, in " + count(v.chunks, "chunk", "chunks") + "." : ".",
    v.reclaimable_bytes > 0 ? " A collection would free " + bytes(v.reclaimable_bytes) + "." : "",
  );
  const rows = [
    ["disks' sizes", v.virtual_bytes, "second"],
    ["data in them", v.data_bytes, "second"],
    ["each chunk once", v.unique_bytes, "second"],
    ["compressed", v.stored_bytes, ""],
  ];
  at("savings").replaceChildren(...rows.map(([name, n, kind]) => el("div", { class: "row" },
    el("span", { class: "label" }, name),
    bar(name + ": " + bytes(n), [percent(n, v.virtual_bytes), kind]),
    el("span", { class: "value" }, bytes(n)))));
}

function redundancyLine(r, now) {
  const scrub = r.last_scrub ? " Last scrub " + ago(r.last_scrub, now) + "." : "";
  if (r.survives < 0) return "Too few shards are here: some data cannot be read." + scrub;
  if (r.parity === 0) return "No parity: a lost shard is lost data." + scrub;
  const all = r.data + " + " + r.parity + ": ";
  if (r.survives === 0) return all + "one more lost shard would be lost data." + scrub;
  const more = r.survives < r.parity ? "more " : "";
  return all + "any " + count(r.survives, more + "shard", more + "shards") + " may be lost." + scrub;
}

function showShards(r, now) {
  at("shards-line").textContent = redundancyLine(r, now);
  at("shards").replaceChildren(...r.shards.map((d) => {
    const others = Math.max(0, d.size_bytes - d.free_bytes - d.bytes);
    const note = d.size_bytes > 0 ? bytes(d.bytes) + " · " + bytes(d.free_bytes) + " free" : bytes(d.bytes);
    return el("div", { class: "item" },
      el("div", { class: "top" },
        el("span", {}, "shard " + d.index + " ", pill(d.state, d.ok ? "good" : "bad")),
        el("span", { class: "note" }, note)),
      bar("shard " + d.index + ": " + note, [percent(d.bytes, d.size_bytes), d.ok ? "" : "bad"], [percent(others, d.size_bytes), "second"]),
      d.error ? el("div", { class: "error" }, d.error) : "");
  }));
}

// named is a name, which may be cut short, and a badge, which is not.
function named(title, name, badge) {
  return el("div", { class: "named", title: title }, el("span", {}, name), badge ? pill(badge, "") : "");
}

function showPools(pools) {
  const hits = pools.reduce((n, p) => n + p.hits, 0);
  const all = pools.reduce((n, p) => n + p.hits + p.misses, 0);
  at("pools-line").textContent = pools.length === 0
    ? "No image is pooled: disks are made when they are asked for."
    : all === 0 ? "Made ahead, for images that are pooled."
      : count(hits, "disk", "disks") + " of " + all.toLocaleString("en") + " were ready when asked for.";
  at("pools").replaceChildren(...pools.map((p) => {
    const note = p.ready + " of " + p.target + " ready" + (p.waiting > 0 ? ", " + count(p.waiting, "create waits", "creates wait") : "");
    return el("div", { class: "item" },
      el("div", { class: "top" },
        named(p.image_id, p.image_name || p.image_id, p.method),
        el("span", { class: "note" }, note)),
      bar(note, [percent(p.ready, p.target), ""]));
  }));
}

function showOperations(operations, now) {
  if (operations.length === 0) {
    at("operations").replaceChildren(el("p", { class: "empty" }, "None yet."));
    return;
  }
  const kinds = { done: "good", failed: "bad", running: "busy", queued: "busy" };
  at("operations").replaceChildren(...operations.map((o) => {
    const active = o.state === "running" || o.state === "queued";
    const item = el("div", { class: "item" },
      el("div", { class: "top" },
        el("span", {}, pill(o.state, kinds[o.state] || ""), " ", o.description || "operation", " ",
          el("span", { class: "id" }, o.resource_id || o.id)),
        el("span", { class: "note" }, active && o.total > 0
          ? bytes(o.done) + " of " + bytes(o.total) + " · " + Math.floor(percent(o.done, o.total)) + " %"
          : ago(o.modified_at, now))));
    if (o.state === "running") {
      const b = bar(o.description, [o.total > 0 ? percent(o.done, o.total) : 30, ""]);
      if (o.total === 0) b.classList.add("wait");
      item.append(b);
    }
    if (o.error) item.append(el("div", { class: "error" }, o.error));
    return item;
  }));
}

function showImages(images, now) {
  if (images.length === 0) {
    at("images").replaceChildren(el("div", { class: "empty" }, "None yet. Make one:",
      el("code", {}, "blockmill image create --name debian --file debian.qcow2 --pooled")));
    return;
  }
  const kinds = { READY: "good", CREATING: "busy", ERROR: "bad", DELETING: "busy" };
  const head = ["Name", "Status", "Disk", "Data", "Family", "Folder", "Made", "Id"];
  const numbers = { Disk: "number", Data: "number" };
  const row = (i) => el("tr", {},
    el("td", {}, named(i.name, i.name || "–", i.pooled ? "pooled" : "")),
    el("td", {}, pill(i.status.toLowerCase(), kinds[i.status] || "")),
    el("td", { class: "number" }, i.virtual_size > 0 ? bytes(i.virtual_size) : "–"),
    el("td", { class: "number" }, i.storage_size > 0 ? bytes(i.storage_size) : "–"),
    el("td", {}, i.family || "–"),
    el("td", {}, i.folder),
    el("td", { title: i.created_at }, ago(i.created_at, now)),
    el("td", { class: "id" }, i.id));
  at("images").replaceChildren(el("div", { class: "scroll" }, el("table", {},
    el("thead", {}, el("tr", {}, ...head.map((h) => el("th", { class: numbers[h] }, h)))),
    el("tbody", {}, ...images.map(row)))));
}

function show(s) {
  showNode(s);
  setHealth(health(s));
  showSavings(s.savings);
  showShards(s.redundancy, s.node.now);
  showPools(s.pools);
  showOperations(s.operations, s.node.now);
  showImages(s.images, s.node.now);
  at("content").hidden = false;
  at("login").hidden = true;
}

async function refresh() {
  const token = sessionStorage.getItem(tokenKey);
  const answer = await fetch("status.json", { headers: token ? { authorization: "Bearer " + token } : {} });
  if (answer.ok) {
    show(await answer.json());
    return;
  }
  if (answer.status === 401) {
    at("login").hidden = false;
    at("content").hidden = true;
  }
  setHealth([(await answer.json()).message, "bad"]);
}

async function loop() {
  if (!document.hidden) {
    try {
      await refresh();
    } catch {
      setHealth(["no answer", "bad"]);
    }
  }
  setTimeout(loop, interval);
}

at("login").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(tokenKey, at("token").value);
  at("token").value = "";
  refresh();
});
loop();
