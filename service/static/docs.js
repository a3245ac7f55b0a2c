// Starts the viewer of the page at /docs. A file, because the page's Content-Security-Policy allows no inline script.
"use strict";

SwaggerUIBundle({
  url: "openapi.json", // relative, so that a path prefix works
  dom_id: "#viewer",
  validatorUrl: null, // or the viewer asks a server on the internet
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  // The viewer grows above the table of errors, after the browser has scrolled to an error's anchor.
  onComplete: () => document.getElementById(location.hash.slice(1))?.scrollIntoView(),
});
