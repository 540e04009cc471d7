// The theme that was chosen, before the first paint. Without a choice it is the system's.
"use strict";
try {
  const theme = localStorage.getItem("theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch { /* storage is switched off: then nothing was chosen */ }
document.documentElement.classList.add("scripted");
