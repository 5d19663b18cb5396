// What the theme leaves out for those who do not see the page: names of buttons, and parts that scroll by the keyboard.
document.addEventListener("DOMContentLoaded", () => {
  // The button says "Search Ctrl+K"; a label that says less hides the rest from those who call it by its words.
  document.querySelectorAll(".search-button-field").forEach((button) => button.removeAttribute("aria-label"));
  document.querySelectorAll(".bd-links summary").forEach((summary) => {
    const page = summary.closest("li").querySelector("a");
    summary.setAttribute("aria-label", `Pages under ${page.textContent.trim()}`);
  });
  document.querySelectorAll("pre, .output, .pst-scrollable-table-container").forEach((part) => {
    part.tabIndex = 0;
  });
});
