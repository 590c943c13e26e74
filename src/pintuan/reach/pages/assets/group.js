// Keeps the page current: prices and numbers from the group's event stream, all else by loading the page again.
// Nothing here is needed to read the page or to join; without it the reader presses a button.
"use strict";
(() => {
  const POLL_MS = 5000;
  const RELOAD_SPREAD_MS = 1500;
  const RELOAD_RETRY_MS = 3000;
  const RELOAD_ATTEMPTS_MAX = 5;
  const TICK_MS = 1000;
  const language = document.documentElement.lang;
  const plural = new Intl.PluralRules(language);
  const byId = (id) => document.getElementById(id);
  const main = () => byId("main");
  let texts = {};
  // The server's clock as this page knows it; the phone's own may be wrong by hours and is never asked.
  let serverAhead = 0;
  let stream = null;
  let poller = 0;
  let reloading = 0;
  let tag = null;

  const setText = (element, text) => {
    if (element && element.textContent !== text) element.textContent = text;
  };
  const fill = (forms, num, more = {}) => {
    const text = forms[plural.select(num)] || forms.other;
    return Object.entries({ num, ...more }).reduce((out, [name, value]) => out.replace(`%(${name})s`, value), text);
  };
  const setClock = (serverTime) => {
    serverAhead = Date.parse(serverTime) - performance.now();
  };

  const part = (count, unit) =>
    new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "short" }).format(count);
  const tick = () => {
    const shown = byId("countdown");
    if (!shown) return;
    const left = Math.max(0, Math.floor((Date.parse(main().dataset.deadline) - performance.now() - serverAhead) / 1000));
    const parts = [
      [Math.floor(left / 86400), "day"],
      [Math.floor(left / 3600) % 24, "hour"],
      [Math.floor(left / 60) % 60, "minute"],
      [left % 60, "second"],
    ];
    const first = parts.findIndex(([count]) => count > 0);
    const from = first < 0 ? parts.length - 1 : first;
    setText(shown, parts.slice(from, from + 2).map(([count, unit]) => part(count, unit)).join(" "));
  };

  const isTyping = () => {
    const field = document.activeElement;
    return field && field.matches("input[type=text], input[type=number]") && field.value !== field.defaultValue;
  };
  const fetchMain = async () => {
    try {
      const answer = await fetch(location.href.split("#")[0], { credentials: "same-origin" });
      if (!answer.ok) return null;
      return new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("main");
    } catch {
      return null;
    }
  };
  const reload = (attempt = 1) => {
    if (reloading) return;
    // Everybody who watches hears of a change at once, and need not ask at once.
    const wait = Math.random() * RELOAD_SPREAD_MS + (attempt > 1 ? RELOAD_RETRY_MS : 0);
    reloading = setTimeout(async () => {
      const fresh = isTyping() ? null : await fetchMain();
      reloading = 0;
      if (isTyping()) {
        // Nobody's words are thrown away; the page follows when they are sent or taken back.
        reload(2);
      } else if (fresh) {
        replace(fresh);
      } else if (attempt < RELOAD_ATTEMPTS_MAX) {
        reload(attempt + 1);
      }
    }, wait);
  };
  const replace = (fresh) => {
    const focused = document.activeElement && document.activeElement.id;
    const said = byId("announcement").textContent;
    main().replaceWith(fresh);
    read();
    byId("announcement").textContent = said;
    if (focused && byId(focused)) byId(focused).focus({ preventScroll: true });
  };

  const showSteps = (group) => {
    let price = "";
    for (const step of document.querySelectorAll("#steps > li")) {
      const missing = Math.max(0, Number(step.dataset.headcount) - group.headcount);
      const isCurrent = Number(step.dataset.amount) === group.unit_price.amount;
      setText(step.querySelector(".missing"), missing ? fill(texts.missing, missing) : texts.reached);
      if (isCurrent) {
        step.setAttribute("aria-current", "step");
        price = step.querySelector("strong").textContent;
      } else {
        step.removeAttribute("aria-current");
      }
    }
    return price;
  };
  const show = (group, id) => {
    setClock(group.server_time);
    if (id && id === tag) return;
    tag = id;
    const data = main().dataset;
    const full = group.headcount + group.held >= group.max_headcount ? "1" : "0";
    const needsPage = data.status !== group.status || data.full !== full || data.member === "1";
    if (group.status === "open" && byId("price")) {
      const price = showSteps(group);
      setText(byId("people"), fill(texts.people, group.headcount, { capacity: group.max_headcount }));
      setText(byId("held"), group.held ? fill(texts.held, group.held) : "");
      byId("progress").value = group.headcount;
      const needed = Math.max(0, Number(data.min) - group.headcount);
      setText(byId("needed"), needed ? fill(texts.needed, needed) : texts.enough);
      if (price && Number(data.price) !== group.unit_price.amount) {
        const fell = group.unit_price.amount < Number(data.price);
        data.price = group.unit_price.amount;
        setText(byId("price"), price);
        byId("price").classList.remove("changed");
        requestAnimationFrame(() => byId("price").classList.add("changed"));
        setText(byId("announcement"), (fell ? texts.fell : texts.rose).replace("%(price)s", price));
        reload();
      }
    }
    if (needsPage) reload();
    if (group.status === "succeeded" || group.status === "failed") stop();
  };

  const stop = () => {
    if (stream) stream.close();
    stream = null;
    clearInterval(poller);
    poller = 0;
  };
  const look = async () => {
    try {
      const answer = await fetch(`/v1/groups/${main().dataset.group}`);
      if (answer.ok) show(await answer.json(), (answer.headers.get("etag") || "").replace(/^W\/|"/g, ""));
    } catch {
      // Offline for a moment; the next look may succeed.
    }
  };
  const poll = () => {
    if (!poller) poller = setInterval(look, POLL_MS);
  };
  const follow = () => {
    if (main().dataset.status === "succeeded" || main().dataset.status === "failed") return;
    if (!("EventSource" in window)) {
      poll();
      return;
    }
    stream = new EventSource(`/v1/groups/${main().dataset.group}/events`);
    stream.addEventListener("group", (event) => {
      clearInterval(poller);
      poller = 0;
      show(JSON.parse(event.data), event.lastEventId);
    });
    stream.addEventListener("error", () => {
      // A browser that gave up does not come back by itself: a refusal, or a proxy without streams.
      if (stream && stream.readyState === EventSource.CLOSED) poll();
    });
  };
  const read = () => {
    // The server names times in UTC; the browser knows where its reader is.
    const local = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
    for (const time of document.querySelectorAll("time")) setText(time, local.format(new Date(time.dateTime)));
    texts = JSON.parse(main().dataset.texts);
    setClock(main().dataset.serverTime);
    const refresh = byId("refresh");
    if (refresh) refresh.hidden = true;
    tick();
  };

  if (!main() || !main().dataset.group) return;
  read();
  setInterval(tick, TICK_MS);
  follow();
  const notice = byId("notice");
  if (notice) {
    notice.tabIndex = -1;
    notice.focus();
  }
  document.addEventListener("visibilitychange", () => {
    // A phone that slept may have stopped the clock that counts on.
    if (document.visibilityState === "visible" && (stream || poller)) look();
  });
})();
