// Creating a rain: the form with its errors in place, templates, a preview of the split, and the step that says what it costs.

import {byId, el, plain, redraw, setText} from "./dom.js";
import {language, locale, t} from "./i18n.js";
import {drawBars, previewAmounts} from "./console-chart.js";
import {CreateTicket, KINDS, checkCreate, readTemplate, templateOf} from "./console-model.js";
import {act, banner, errorText, logDone, logLine, money} from "./console-parts.js";

const ERRORS = ["total", "count", "limit", "lo", "users", "open", "after", "at"];
const NAME_OF = {duration: "open"}; // the field in the page
const BUILT_IN = [
  ["tpl.warm", {total: "20.00", count: "20", limit: "1", lo: "0.01", split: "double-mean", kind: "rain", duration: "20"}],
  ["tpl.big", {total: "200.00", count: "500", limit: "5", lo: "0.10", split: "double-mean", kind: "rain", duration: "30"}],
  ["tpl.lucky", {total: "66.66", count: "30", limit: "1", lo: "0.01", split: "line-cut", kind: "group", duration: "3600"}],
];
const PREVIEW_MS = 250;

const field = (name) => byId(`f-${name}`);
const beginOf = () => document.querySelector('input[name="begin"]:checked').value;

function typed() {
  const names = ["total", "count", "limit", "lo", "split", "text", "kind", "users", "after", "at"];
  return {...Object.fromEntries(names.map((name) => [name, field(name).value])), duration: field("open").value, begin: beginOf()};
}

/** Fields that do not apply to a kind are away. */
function shapeForm() {
  const kind = KINDS[field("kind").value];
  byId("l-users").hidden = kind.users === "none";
  byId("l-count").hidden = kind.users === "one";
  byId("l-limit").hidden = kind.users === "one";
  byId("l-lo").hidden = kind.users === "one";
  for (const option of field("split").options) option.hidden = !kind.splits.includes(option.value);
  if (!kind.splits.includes(field("split").value)) field("split").value = kind.splits[0];
  byId("l-split").hidden = kind.users === "one";
  const begin = beginOf();
  byId("l-after").hidden = begin !== "after";
  byId("l-at").hidden = begin !== "at";
  setText(byId("begin-note"), {manual: t("c.beginManual"), now: t("c.beginNow")}[begin] ?? "");
}

const localTime = (ms) => new Date(ms - new Date(ms).getTimezoneOffset() * 60000).toISOString().slice(0, 19);

function fact(label, value) {
  return el("div", {}, el("dt", {text: t(label)}), el("dd", {}, el("bdi", {text: value})));
}

export function mountCreate(ctx) {
  const {client, store} = ctx;
  const ticket = new CreateTicket(sessionStorage, ctx.room);
  const touched = new Set(); // fields somebody changed: their errors are said at once
  let pending = null; // {body, begin} on the confirm step
  let previewTimer;
  let templates = [];

  function validate(all) {
    shapeForm();
    const result = checkCreate(typed(), store.balance, money, ctx.now() ?? Date.now());
    const errors = Object.fromEntries(Object.entries(result.errors).map(([name, error]) => [NAME_OF[name] ?? name, error]));
    for (const name of ERRORS) {
      const said = errors[name] && (all || touched.has(name) || name === "total") ? t(...errors[name]) : "";
      setText(byId(`e-${name}`), said);
      field(name).setAttribute("aria-invalid", String(Boolean(said)));
    }
    schedulePreview(result);
    return result;
  }

  function schedulePreview({body, meanFen}) {
    clearTimeout(previewTimer);
    const equal = body?.split === "equal";
    if (!body) {
      setText(byId("preview"), "");
      byId("preview-bars").replaceChildren();
      byId("preview-bars").removeAttribute("data-key");
      return;
    }
    const key = [body.total, body.count, body.lo, body.split, language()].join();
    if (byId("preview-bars").dataset.key === key) return;
    if (equal) setText(byId("preview"), t("c.previewEqual", {mean: money(meanFen)}));
    else setText(byId("preview"), t("c.preview", {mean: money(meanFen), min: "…", max: "…"}));
    previewTimer = setTimeout(async () => {
      byId("preview-bars").dataset.key = key;
      const amounts = await previewAmounts(body);
      if (!amounts || byId("preview-bars").dataset.key !== key) return;
      const words = {min: money(amounts[0]), mean: money(meanFen), max: money(amounts.at(-1))};
      if (!equal) setText(byId("preview"), t("c.preview", words));
      drawBars(byId("preview-bars"), amounts, t("c.previewChart", words));
    }, PREVIEW_MS);
  }

  // ---- templates ----

  function fill(values) {
    for (const [name, value] of Object.entries(values)) {
      const node = field(NAME_OF[name] ?? name);
      if (node.tagName !== "SELECT" || [...node.options].some((option) => option.value === value)) node.value = value;
    }
    validate(true);
    field("total").focus();
  }

  function drawTemplates() {
    redraw(byId("templates"), [language(), templates], () => {
      const built = BUILT_IN.map(([key, values]) => chip(t(key), values));
      const own = templates.map(({name, values}) => {
        const gone = el("button", {type: "button", class: "x", "aria-label": t("c.templateDelete", {name: plain(name, 20)}), text: "×"});
        gone.addEventListener("click", () => keep({name}));
        return el("span", {class: "own", "data-testid": "own-template"}, chip(plain(name, 20), values), gone);
      });
      byId("templates").replaceChildren(...built, ...own);
    });
  }

  function chip(name, values) {
    const node = el("button", {type: "button", class: "chip", "aria-label": t("c.templateUse", {name})}, el("bdi", {text: name}));
    node.addEventListener("click", () => fill(values));
    return node;
  }

  async function keep(body) {
    return act("template", byId("template-save"), byId("confirm-error"), async () => {
      try {
        const answer = await client.request("TEMPLATES", body);
        templates = answer.templates.map(({name, spec}) => ({name, values: readTemplate(spec)})).filter(({values}) => values);
        drawTemplates();
      } catch (error) {
        if (error.field === "name") banner(t("c.templateFull"));
        throw error;
      }
    });
  }

  byId("template-save").addEventListener("click", async () => {
    const name = field("template").value.trim();
    if (!name) {
      field("template").focus();
      return;
    }
    if (await keep({name, spec: templateOf(typed())})) {
      field("template").value = "";
      logLine(t("log.template", {name}), "done");
    }
  });

  // ---- confirm ----

  function beginText({mode, countdownMs, startAt}) {
    if (mode === "at") return new Date(startAt).toLocaleString(locale(), {hour12: false});
    if (mode === "manual") return t("begin.manual");
    return `${t(`begin.${mode}`)} · ${Math.round(countdownMs / 1000)} ${t("seconds")}`;
  }

  function drawConfirm() {
    const {body, begin} = pending;
    setText(byId("confirm-sum"), money(body.total));
    setText(byId("create-ok"), t(["now", "after"].includes(begin.mode) ? "c.createGo" : "c.createOk"));
    byId("confirm-facts").replaceChildren(
      fact("c.kind", t(`kind.${body.kind ?? "rain"}`)), fact("c.count", String(body.count)), fact("c.limit", String(body.limit)),
      fact("c.split", t(`split.${body.split}`)),
      fact("c.eligible", body.users ? t("c.forUsers", {n: body.users.split(",").length}) : t("c.forAll")),
      fact("c.begin", beginText(begin)), fact("c.duration", String(body.duration_ms / 1000)),
      fact("c.text", plain(body.text || t("defaultBlessing"), 30)),
      fact("c.balance", store.balance === null ? "–" : money(store.balance)),
      fact("c.balanceAfter", store.balance === null ? "–" : money(store.balance - body.total)));
  }

  function showConfirm(on) {
    byId("create-form").hidden = on;
    byId("create-confirm").hidden = !on;
    setText(byId("confirm-error"), "");
    if (on) byId("create-confirm").focus();
    else pending = null;
  }

  async function start(code, {mode, countdownMs}, durationMs) {
    if (mode !== "now" && mode !== "after") return;
    logDone(t("log.prepared"), await client.request("PREPARE", {code}));
    logDone(t("log.started"), await client.request("START", {code, countdown_ms: countdownMs, duration_ms: durationMs}));
  }

  async function create() {
    if (!pending) return;
    const {body, begin} = pending;
    const button = byId("create-ok");
    byId("create-back").disabled = true;
    await act("create", button, byId("confirm-error"), async () => {
      setText(button, t("c.creating"));
      try {
        const reply = await client.request("CREATE", {biz_id: ticket.take(body), ...body});
        ticket.done();
        store.picked = reply.code;
        store.balance = reply.balance ?? store.balance;
        logDone(t("log.created", {total: money(reply.total)}), reply);
        if (begin.mode === "at") logLine(t("log.scheduled"), "done");
        showConfirm(false);
        await start(reply.code, begin, body.duration_ms);
        byId("live-title").focus();
      } catch (error) {
        // No answer is not a no: the same biz_id asks for the same rain.
        banner(`${errorText(error)} ${error.result === -1 ? t("c.retrySafe") : ""}`);
        throw error;
      }
    });
    byId("create-back").disabled = false;
    if (pending) drawConfirm();
    ctx.refresh();
  }

  byId("create-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const {errors, body, begin} = validate(true);
    if (!body) {
      field(NAME_OF[Object.keys(errors)[0]] ?? Object.keys(errors)[0]).focus();
      return;
    }
    pending = {body, begin};
    drawConfirm();
    showConfirm(true);
  });
  byId("create-form").addEventListener("input", (event) => {
    touched.add(event.target.id.replace("f-", ""));
    if (event.target === field("kind")) field("open").value = String(KINDS[field("kind").value].durationS);
    if (event.target.name === "begin" && event.target.value === "at" && !field("at").value) {
      field("at").value = localTime((ctx.now() ?? Date.now()) + 300000);
    }
    validate(false);
  });
  byId("create-back").addEventListener("click", () => {
    showConfirm(false);
    field("total").focus();
  });
  byId("create-ok").addEventListener("click", create);

  client.on("snapshot", () => keep({}));
  ctx.onLanguage(() => {
    validate(false);
    drawTemplates();
    if (pending) drawConfirm();
  });
  ctx.onStats(() => pending || validate(false));
}
