// Finds what a person would find: visible elements, by the words they are called by. Asked with
// `find(kind, name)`, where kind is "link", "button", "field", "text" or a selector after "css:".
(() => {
  const squeeze = (text) => (text || "").replace(/\s+/g, " ").trim();
  const visible = (element) => {
    const box = element.getBoundingClientRect();
    const style = getComputedStyle(element);
    return box.width > 0 && box.height > 0 && style.visibility !== "hidden";
  };
  const called = (element) => {
    const byId = (element.getAttribute("aria-labelledby") || "").split(/\s+/).filter(Boolean);
    if (byId.length) return byId.map((id) => document.getElementById(id)?.textContent).join(" ");
    if (element.getAttribute("aria-label")) return element.getAttribute("aria-label");
    if (element.labels?.length) return [...element.labels].map((label) => label.textContent).join(" ");
    return element.textContent || element.value || element.title;
  };
  const kinds = {
    link: "a[href]",
    button: "button, summary, input[type=submit]",
    field: "input:not([type=hidden]), select, textarea",
    text: "body *",
  };
  return (kind, name) => {
    const selector = kind.startsWith("css:") ? kind.slice(4) : kinds[kind];
    const all = [...document.querySelectorAll(selector)].filter(visible);
    if (name === null) return all[0] || null;
    const names = all.map((element) => squeeze(called(element)));
    const exact = names.indexOf(name);
    if (exact >= 0) return all[exact];
    // The innermost one that has the words.
    const parts = all.filter((_, at) => names[at].includes(name));
    return (kind === "text" ? parts.pop() : parts[0]) || null;
  };
})()
