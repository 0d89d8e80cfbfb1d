// After "Log out", the button Back would show the page as it was: browsers keep pages in
// memory, even those that must not be stored. So a page that is left is emptied, and
// loaded again when it comes back.
addEventListener("pagehide", () => document.body.replaceChildren());
addEventListener("pageshow", event => { if (event.persisted) location.reload(); });
