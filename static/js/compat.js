// Runs before the page is drawn, in every browser, so it is written in ES5.
// It says that scripts work, and takes browsers that can't read a stream as it
// comes to the page that reloads itself instead.
(function () {
  var root = document.documentElement;
  root.className += " js";
  var streams = window.fetch && window.ReadableStream && window.TextDecoder && window.AbortController &&
    window.Response && "body" in window.Response.prototype;
  if (streams || !root.getAttribute("data-live") || /[?&]poll=/.test(location.search)) return;
  location.replace(location.pathname + location.search + (location.search ? "&" : "?") + "poll=1");
})();
