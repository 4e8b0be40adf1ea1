"use strict";

const day = document.getElementById("day");
const state = document.getElementById("state");

const blocks = () => [...day.querySelectorAll("li")];

function replaceGrid(html) {
  const known = new Set(blocks().map((block) => block.id + block.className));
  const focused = document.activeElement?.id;
  day.innerHTML = html;
  for (const block of blocks()) {
    if (!known.has(block.id + block.className)) block.classList.add("news");
  }
  if (focused?.startsWith("booking-")) document.getElementById(focused)?.focus({ preventScroll: true });
}

function showFeed({ position, ageMs }) {
  document.getElementById("position").value = position;
  document.getElementById("age").value = ageMs === null ? "–" : `${(ageMs / 1000).toFixed(1)} s`;
}

function setState(text) {
  if (state.textContent !== text) state.textContent = text;
  state.className = text;
}

function follow() {
  const source = new EventSource(day.dataset.stream);
  source.addEventListener("open", () => setState("live"));
  source.addEventListener("day", (event) => replaceGrid(event.data));
  source.addEventListener("feed", (event) => showFeed(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    setState("reconnecting");
    // The browser reconnects by itself after a lost connection, but not after an answer such as 401. Why, the page will say.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 2000);
  });
}

document.addEventListener("keydown", (event) => {
  const link = { ArrowLeft: "previous", ArrowRight: "next" }[event.key];
  const modified = event.altKey || event.ctrlKey || event.metaKey || event.shiftKey;
  if (link && !modified && !event.target.closest("input")) {
    event.preventDefault();
    document.getElementById(link).click();
  }
});

// To the first booking that begins today, else to eight o'clock.
const begins = blocks().map((block) => block.offsetTop).filter((top) => top > 0);
const opening = day.querySelector("ol")?.offsetHeight / 3;
day.scrollTop = (begins.length > 0 ? Math.min(...begins) : opening) - 16;
follow();
