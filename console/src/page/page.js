// Keeps the page up to date: the server sends the content of parts by their ids. Says so when it no longer does.
'use strict';
(() => {
  // The server sends the time every few seconds: longer silence is a lost connection, even if it looks open.
  const SILENCE_MS = 15000;
  const RETRY_MS = 3000;
  const link = document.getElementById('link');
  const way = document.getElementById('way');
  const shown = new Map();
  // Parts that somebody uses when their news comes: the server does not send these again.
  const waiting = new Map();
  let source = null;
  let heard = Date.now();

  function say(state, text) {
    if (link.dataset.link === state) return;
    link.dataset.link = state;
    document.documentElement.classList.toggle('lost', state === 'lost');
    way.textContent = text;
  }

  function lost() {
    const since = document.getElementById('p-time').textContent;
    say('lost', `No answer since ${since} UTC. The numbers are those of that time. Trying again.`);
  }

  // Somebody may read or use the part: what is open, where it is scrolled to, and the focus stay.
  function replace(part, html) {
    const focus = document.activeElement;
    const held = part.contains(focus) ? focus : null;
    if (held && held.closest('form')) return false;
    const open = [...part.querySelectorAll('details[open]')].map((fold) => fold.id);
    const rolled = [...part.querySelectorAll('.scroll')].map((box) => [box.id, box.scrollLeft, box.scrollTop]);
    part.innerHTML = html;
    for (const id of open) {
      const fold = document.getElementById(id);
      if (fold) fold.open = true;
    }
    for (const [id, left, top] of rolled) {
      const box = document.getElementById(id);
      if (box) box.scrollTo(left, top);
    }
    const again = held && held.id && document.getElementById(held.id);
    if (again) again.focus({ preventScroll: true });
    return true;
  }

  function put(id, html) {
    const part = document.getElementById(id);
    waiting.delete(id);
    if (!part || shown.get(id) === html) return;
    if (replace(part, html)) shown.set(id, html);
    else waiting.set(id, html);
  }

  function panel(event) {
    heard = Date.now();
    const { id, html } = JSON.parse(event.data);
    put(id, html);
    say('live', 'live');
  }

  function connect() {
    if (source) source.close();
    heard = Date.now();
    source = new EventSource('/api/events' + location.search);
    source.addEventListener('panel', panel);
    source.addEventListener('error', lost);
  }

  setInterval(() => {
    const closed = source.readyState === EventSource.CLOSED;
    if (Date.now() - heard < (closed ? RETRY_MS : SILENCE_MS)) return;
    lost();
    connect();
  }, RETRY_MS);
  addEventListener('focusout', () => setTimeout(() => [...waiting].forEach(([id, html]) => put(id, html))));
  addEventListener('pagehide', () => source.close());
  addEventListener('pageshow', (event) => event.persisted && connect());
  connect();
})();
